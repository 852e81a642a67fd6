// SPDX-License-Identifier: Apache-2.0

// An HTTP server and its clients, in one program: serve SECONDS CLIENTS. So many clients ask all the
// time, each answer is looked at; what is wrong is printed, and at the end what there was of it.
package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The answer to a number: 0 to 20,000 bytes that only it has.
func answer(n int) []byte {
	b := make([]byte, n*7919%20000)
	for i := range b {
		b[i] = byte(i*n + i>>8)
	}
	return b
}

func handle(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		http.Error(w, "no number", http.StatusBadRequest)
		return
	}
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Sum", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	w.Write(answer(n))
}

func ask(c *http.Client, url string, n int) error {
	body := answer(n + 1)
	var r *http.Response
	var err error
	if n%2 == 0 {
		r, err = c.Get(url + strconv.Itoa(n))
		body = nil
	} else {
		r, err = c.Post(url+strconv.Itoa(n), "application/octet-stream", bytes.NewReader(body))
	}
	if err != nil {
		return err
	}
	defer r.Body.Close()
	got, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if r.StatusCode != 200 || !bytes.Equal(got, answer(n)) {
		return fmt.Errorf("%d: status %d, %d bytes", n, r.StatusCode, len(got))
	}
	if sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10); r.Header.Get("X-Sum") != sum {
		return fmt.Errorf("%d: what was sent came as something else", n)
	}
	return nil
}

func main() {
	seconds, _ := strconv.Atoi(os.Args[1])
	clients, _ := strconv.Atoi(os.Args[2])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	http.HandleFunc("/", handle)
	go http.Serve(l, nil)
	url := "http://" + l.Addr().String() + "/?n="
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: 60 * time.Second}
	var done, wrong, most int64
	var group sync.WaitGroup
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for i := 0; i < clients; i++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			for ; time.Now().Before(end); n += clients {
				// now and then a connection of its own
				if n/clients%50 == 49 {
					c.CloseIdleConnections()
				}
				if err := ask(c, url, n); err != nil {
					fmt.Println(err)
					atomic.AddInt64(&wrong, 1)
				}
				atomic.AddInt64(&done, 1)
				if g := int64(runtime.NumGoroutine()); g > atomic.LoadInt64(&most) {
					atomic.StoreInt64(&most, g)
				}
			}
		}(i)
	}
	group.Wait()
	runtime.GC()
	fmt.Printf("%d answers, %d wrong, %d goroutines\n", done, wrong, most)
	if wrong > 0 || done < int64(clients) {
		os.Exit(1)
	}
}
