create table t(id integer primary key, name text, v real);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
insert into t select i, printf('name-%05d', (i * 7919) % 5003), i / 7.0 from n;
create index by_name on t(name);
select count(*), sum(v), min(name), max(name) from t;
select substr(name, 1, 7) as head, count(*), round(avg(v), 4) from t group by head order by head limit 10;
select a.id, b.id from t a join t b on a.name = 'name-' || printf('%05d', b.id) where a.id < 10 order by 1;
update t set v = -v where id % 3 = 0;
delete from t where id between 1000 and 2000;
select sum(v), count(*), hex(zeroblob(3)), upper('abc'), 10 / 4, 10 / 4.0, 1e300 * 1e10, null is null from t;
select id, sum(v) over (order by id rows 2 preceding) from t where id < 8;
pragma integrity_check;
