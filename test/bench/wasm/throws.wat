;; SPDX-License-Identifier: Apache-2.0
;; Calls in a try, one of eight of which throws; and a loop in a try in which nothing is thrown.
(module
  (tag $e (param i32))
  (memory (export "memory") 1)
  (func $may (param i32) (result i32)
    (if (i32.eqz (i32.and (local.get 0) (i32.const 7))) (then (throw $e (local.get 0))))
    (i32.add (local.get 0) (i32.const 3)))
  (func $throws (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum)
        (try (result i32)
          (do (call $may (local.get $i)))
          (catch $e (i32.mul (i32.const 5))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (local.get $n))))
    (local.get $sum))
  (func $hot (param $n i32) (result i32) (local $i i32) (local $sum i32)
    (try
      (do
        (loop $l
          (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 3))
            (i32.xor (local.get $i) (i32.load (i32.and (local.get $sum) (i32.const 0xfffc))))))
          (i32.store (i32.and (local.get $i) (i32.const 0xfffc)) (local.get $sum))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (local.get $n))))
        (local.set $sum (call $may (i32.or (local.get $sum) (i32.const 1)))))
      (catch $e (local.set $sum)))
    (local.get $sum))
  (func (export "_start")
    (drop (call $throws (i32.const 4000000)))
    (drop (call $hot (i32.const 40000000)))))
