<?php
// SPDX-License-Identifier: Apache-2.0
// What php-cgi.wasm runs in tests: its functions, classes, exceptions, files.
declare(strict_types=1);
echo implode(",", array_slice($argv ?? [], 1)), "\n";
echo json_encode(["a" => [1, 2.5, null], "b" => "ü"], JSON_UNESCAPED_UNICODE), "\n";
foreach (["md5", "crc32b", "sha256", "sha512", "xxh64"] as $h) echo $h, " ", hash($h, str_repeat("x", 100000)), "\n";
preg_match_all('/(?<k>\w+)=(?<v>\d+)/u', "a=1 bü=22 c=333", $m, PREG_SET_ORDER);
echo json_encode($m, JSON_UNESCAPED_UNICODE), "\n";
interface Shape { public function area(): float; }
enum Suit: string { case Hearts = "H"; case Spades = "S"; public function colour(): string { return match ($this) { self::Hearts => "red", self::Spades => "black" }; } }
final class Circle implements Shape { public function __construct(private readonly float $r) {} public function area(): float { return M_PI * $this->r ** 2; } }
printf("%.10f %s %s\n", (new Circle(2.5))->area(), Suit::from("H")->colour(), Suit::tryFrom("X")?->colour() ?? "none");
function numbers(int $n): Generator { for ($i = 0; $i < $n; $i++) { $got = yield $i => $i * $i; if ($got) echo "got $got\n"; } return "end"; }
$g = numbers(4); foreach ($g as $k => $v) echo "$k:$v "; echo $g->getReturn(), "\n";
try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo get_class($e), " ", $e->getMessage(), "\n"; } finally { echo "finally\n"; }
try { (function (int $x) { return $x; })("a"); } catch (TypeError $e) { echo get_class($e), "\n"; }
mt_srand(42); echo mt_rand(), " ", mt_rand(1, 100), " ", implode(",", array_map(fn() => mt_rand(0, 9), range(1, 10))), "\n";
echo serialize(["x" => 1, "o" => new ArrayObject([1, 2])]), " ", var_export(unserialize('a:1:{i:0;d:0.5;}'), true), "\n";
file_put_contents("/w/php.txt", implode("\n", range(1, 200)));
echo filesize("/w/php.txt"), " ", array_sum(array_map("intval", file("/w/php.txt"))), " ", implode(",", array_diff(scandir("/w"), [".", ".."])), "\n";
echo @file_get_contents("/w/none") === false ? error_get_last()["message"] : "", "\n";
echo gmdate("c", 1700000000), " ", number_format(1234567.891, 2), " ", strrev("lodge"), " ", levenshtein("kitten", "sitting"), " ", soundex("Robert"), "\n";
$d = new DateTimeImmutable("2024-02-28 12:00", new DateTimeZone("UTC")); echo $d->modify("+2 days")->format("D, d M Y"), " ", $d->diff(new DateTimeImmutable("2025-01-01", new DateTimeZone("UTC")))->days, "\n";
$x = simplexml_load_string("<a><b c='1'>t</b></a>") ?: null; echo $x ? $x->b["c"] . $x->b : "no xml", "\n";
usort($m, fn($p, $q) => $q["v"] <=> $p["v"]); echo $m[0][0], " ", bin2hex(pack("nvNVd", 1, 2, 3, 4, 5.5)), "\n";
$s = 0; for ($i = 0; $i < 300000; $i++) $s = ($s * 31 + $i) % 1000003; echo $s, " ", fdiv(1, 0), " ", 0.1 + 0.2, " ", PHP_INT_MAX + 1, "\n";
exit(4);
