// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"sync"
)

func main() {
	var group sync.WaitGroup
	parts := make(chan int, 100)
	for i := 1; i <= 100; i++ {
		group.Add(1)
		go func(n int) { defer group.Done(); parts <- n * n }(i)
	}
	group.Wait()
	close(parts)
	sum := 0
	for n := range parts {
		sum += n
	}
	fmt.Println("hello, Go", sum)
}
