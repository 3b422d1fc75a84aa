with source as (
    select * from {{source.openlibrary.author_pages}}
),

sound as (
    select
        run_id,
        route,
        url,
        page_number,
        fetched_at,
        {{#sound_json}}body{{/sound_json}} as body
    from source
    where http_status is distinct from 404
),

batches as (
    select
        run_id,
        url,
        page_number,
        fetched_at,
        {{#parsed_author_batch}}body{{/parsed_author_batch}} as entries
    from sound
    where route = 'get_many'
),

elements as (
    select
        run_id,
        url,
        page_number,
        fetched_at,
        unnest(entries) as entry
    from batches
),

documents as (
    select
        run_id,
        url,
        page_number,
        fetched_at,
        cast(entry.value as varchar) as document
    from elements

    union all

    select
        run_id,
        url,
        page_number,
        fetched_at,
        body as document
    from sound
    where route = 'author'
),

parsed as (
    select
        run_id,
        url,
        page_number,
        fetched_at,
        {{#parsed_author}}document{{/parsed_author}} as doc
    from documents
),

renamed as (
    select
        run_id,
        {{#last_part}}doc.key{{/last_part}} as author_key,
        {{#last_part}}doc.type.key{{/last_part}} as record_type,
        nullif({{#last_part}}doc.location{{/last_part}}, '')
            as redirect_author_key,
        nullif(trim(doc.name), '') as author_name,
        nullif(trim(doc.personal_name), '') as personal_name,
        nullif(trim(doc.birth_date), '') as birth_date,
        nullif(trim(doc.death_date), '') as death_date,
        doc.alternate_names as alternate_names,
        url as page_url,
        doc.revision as revision,
        try_cast(replace(doc.last_modified.value, ' ', 'T') as timestamp)
            as modified_at,
        fetched_at,
        row_number() over (
            partition by run_id, doc.key
            order by page_number desc
        ) as landing_rank
    from parsed
    where doc.key like '/authors/_%'
),

final as (
    select
        run_id,
        author_key,
        record_type,
        redirect_author_key,
        author_name,
        personal_name,
        birth_date,
        death_date,
        alternate_names,
        page_url,
        revision,
        modified_at,
        fetched_at
    from renamed
    where landing_rank = 1
)

select * from final
