with credits as (
    select * from {{ref.int_author_credits}}
),

author_keys as (
    select * from {{ref.int_author_keys}}
),

author_names as (
    select * from {{ref.int_author_names}}
),

records as (
    select * from {{ref.int_author_records}}
),

kind_words as (
    select * from {{ref.author_kind_words}}
),

authors as (
    select distinct author_key from credits
),

merged_keys as (
    select
        author_key,
        {{#joined_text}}
            array_agg(landed_author_key order by landed_author_key), '; '
        {{/joined_text}} as merged_author_keys
    from author_keys
    where landed_author_key <> author_key
    group by author_key
),

plain_names as (
    select
        author_key,
        {{#plain_words}}author_name{{/plain_words}} as plain_name
    from author_names
),

-- "placeholder" comes after "corporate" in the alphabet, and wins where both fit.
kinds as (
    select
        plain_names.author_key,
        max(kind_words.author_kind) as author_kind
    from plain_names
    inner join kind_words
        on
            (
                kind_words.match = 'whole'
                and plain_names.plain_name = kind_words.word
            )
            or (
                kind_words.match = 'word'
                and concat(' ', plain_names.plain_name, ' ')
                like concat('% ', kind_words.word, ' %')
            )
    group by plain_names.author_key
),

final as (
    select
        authors.author_key,
        author_names.author_name,
        records.personal_name,
        {{#joined_text}}records.alternate_names, '; '{{/joined_text}}
            as alternate_names,
        records.birth_date,
        records.death_date,
        coalesce(kinds.author_kind, 'person') as author_kind,
        case records.record_type
            when 'author' then 'current'
            when 'delete' then 'deleted'
            when 'redirect' then 'merged'
            else 'missing'
        end as record_status,
        merged_keys.merged_author_keys,
        records.page_url,
        records.fetched_at
    from authors
    left join author_names on authors.author_key = author_names.author_key
    left join records on authors.author_key = records.author_key
    left join merged_keys on authors.author_key = merged_keys.author_key
    left join kinds on authors.author_key = kinds.author_key
)

select * from final
