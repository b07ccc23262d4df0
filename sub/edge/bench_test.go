package edge

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"testing/fstest"
)

// benchmarkHTTP1 is a request after another over one connection, with TLS; the
// client's work is in it.
func benchmarkHTTP1(b *testing.B, path string, size int) {
	l := start(b, Options{}, "a.test")
	data := make([]byte, size)
	up := origin(b, func(w http.ResponseWriter, r *http.Request) { w.Write(data) })
	l.set(Site{Name: "a", Hosts: []string{"a.test"}, Routes: []Route{
		{Upstream: up}, {Path: "/static", Strip: true, Folder: fstest.MapFS{"a.bin": {Data: data}}, Digest: "a"}}})
	conn := l.dial("a.test")
	r := bufio.NewReaderSize(conn, 64<<10)
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: a.test\r\nUser-Agent: bench\r\n\r\n")
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != int64(size) {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkProxyHTTP1_1KB(b *testing.B)  { benchmarkHTTP1(b, "/", 1024) }
func BenchmarkProxyHTTP1_1MB(b *testing.B)  { benchmarkHTTP1(b, "/", 1<<20) }
func BenchmarkStaticHTTP1_1KB(b *testing.B) { benchmarkHTTP1(b, "/static/a.bin", 1024) }
