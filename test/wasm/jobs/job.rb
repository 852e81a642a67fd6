# SPDX-License-Identifier: Apache-2.0
# What ruby.wasm runs in tests: its core and standard library, files, exceptions, fibers.
require "json"
require "set"
require "digest"
require "erb"
require "csv"
require "strscan"
require "time"
require "bigdecimal" rescue puts "no bigdecimal"

puts ARGV.inspect, $stdin.read
puts JSON.pretty_generate({ "a" => [1, 2.5, nil], b: { c: "ü" } }), JSON.parse('{"x": [1, {"y": 2}]}').inspect
puts Digest::SHA256.hexdigest("x" * 100_000), Digest::MD5.hexdigest("lodge")
puts ERB.new("<% 3.times do |i| %><%= i * i %>;<% end %>").result
puts CSV.parse("a,b\n1,\"x,y\"\n", headers: true).map(&:to_h).inspect
puts (1..Float::INFINITY).lazy.select(&:even?).map { |x| x * x }.first(5).inspect
puts "the quick brown fox".gsub(/(?<first>\w)(\w*)/) { $~[:first].upcase + $~[0][1..] }, "äöü".unicode_normalize(:nfd).bytes.size
puts 2**300, Rational(3, 7) + 1, Complex(1, 2)**2, 10.0 / 3, 1e100.to_i
fiber = Fiber.new { a, b = 0, 1; loop { Fiber.yield a; a, b = b, a + b } }
puts 10.times.map { fiber.resume }.inspect
Point = Struct.new(:x, :y) { def +(o) = Point.new(x + o.x, y + o.y) }
puts (Point.new(1, 2) + Point.new(3, 4)).inspect
case { name: "a", list: [1, [2, 3]] }
in { name: String => n, list: [Integer => one, [*, three]] } then puts [n, one, three].inspect
end
def deep(n) = deep(n + 1)
begin
  deep(0)
rescue SystemStackError => e
  puts e.class
end
puts [3, 1, 2].sort_by { -_1 }.each_slice(2).to_a.inspect, catch(:out) { 10.times { |i| throw :out, i if i == 7 } }
File.write("/w/ruby.txt", (1..100).map { |i| "line #{i}\n" }.join)
puts File.readlines("/w/ruby.txt", chomp: true).last, File.size("/w/ruby.txt"), Dir.children("/w").sort.inspect
begin
  File.open("/w/none")
rescue Errno::ENOENT => e
  puts e.message
ensure
  puts "ensured"
end
srand(42)
puts rand(1000), [1, 2, 3, 4].shuffle.inspect, Random.new(7).bytes(4).unpack1("H*")
puts Time.at(1_700_000_000).utc.iso8601, Comparable.instance_methods.sort.first(3).inspect
sum = 0
200_000.times { |i| sum = (sum * 31 + i) % 1_000_003 }
puts sum, ObjectSpace.respond_to?(:garbage_collect), (GC.start; 1)
at_exit { puts "at exit" }
exit 3
