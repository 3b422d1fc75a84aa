{{ config(materialized="table") }}
select * from {{ ref("books") }}
where publish_year > {{ var("min_year") }}
