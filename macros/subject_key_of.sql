translate(lower(trim({{label}})), ' ;/?:@&=+$,<>#%"{}|\^[]`' || chr(10) || chr(13), '_')
