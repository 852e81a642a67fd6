-- SPDX-License-Identifier: Apache-2.0
-- A small shop: inserts, an index, joins, groups, updates, a recursive query.
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER);
CREATE TABLE sale (id INTEGER PRIMARY KEY, item INTEGER, day INTEGER, pieces INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
	INSERT INTO item SELECT i, 'item ' || i, i * 37 % 1000 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
	INSERT INTO sale SELECT i, i * 7919 % 500 + 1, i * 31 % 365, i % 9 + 1,
		substr('the quick brown fox jumps over the lazy dog', i % 20 + 1, 12) || i % 97 FROM n;
COMMIT;
CREATE INDEX sale_day ON sale (day, item);
SELECT day, count(*), sum(pieces * price) FROM sale JOIN item ON item.id = sale.item
	GROUP BY day ORDER BY 3 DESC, day LIMIT 20;
SELECT note, count(*) AS c FROM sale WHERE note LIKE '%fox%' GROUP BY note ORDER BY c DESC, note LIMIT 10;
UPDATE sale SET pieces = pieces + 1 WHERE day BETWEEN 100 AND 200;
DELETE FROM sale WHERE item % 11 = 0;
SELECT count(*), sum(pieces), min(note), max(note) FROM sale;
SELECT item.name, t.total FROM item JOIN (SELECT item, sum(pieces) AS total FROM sale GROUP BY item) t
	ON t.item = item.id WHERE item.price > 500 ORDER BY t.total DESC, item.id LIMIT 15;
