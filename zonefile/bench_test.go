package zonefile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"
)

func bigZone(n int) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	for i := range n {
		switch i % 10 {
		case 7:
			fmt.Fprintf(&b, "h%07d 300 IN AAAA 2001:db8::%x\n", i, i%65536)
		case 8:
			fmt.Fprintf(&b, "h%07d 300 IN CNAME h%07d\n", i, i-1)
		case 9:
			fmt.Fprintf(&b, "h%07d 300 IN TXT \"text of %d\"\n", i, i)
		default:
			fmt.Fprintf(&b, "h%07d 300 IN A 192.0.%d.%d\n", i, i/256%256, i%256)
		}
	}
	return b.Bytes()
}

func BenchmarkScan(b *testing.B) {
	path := filepath.Join(b.TempDir(), "z")
	const n = 100_000
	if err := os.WriteFile(path, bigZone(n), 0o600); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		count := 0
		err := Scan("example.com", path, func(dns.RR, string, int) error { count++; return nil })
		if err != nil || count != n+2 {
			b.Fatal(err, count)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

func BenchmarkParse(b *testing.B) {
	const n = 100_000
	text := bigZone(n)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("example.com", text, "z"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

func BenchmarkText(b *testing.B) {
	const n = 100_000
	z, err := Parse("example.com", bigZone(n), "z")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		z.Text()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}
