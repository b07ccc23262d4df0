package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"b8s/state"
)

// citySize is how large a made-up city database is.
type citySize struct {
	cities   int
	networks int // IPv4 and IPv6, about
}

// benchCity comes to 37 MiB.
var benchCity = citySize{cities: 105_000, networks: 2_270_000}

// visitor is a network that every made-up city database places.
var visitor = netip.MustParsePrefix("9.9.9.0/24")

// writeCity writes a made-up database of type GeoLite2-City to path: records
// of the true shape, networks of mixed sizes, each block of them in one
// country. The same size gives the same networks and places.
func writeCity(path string, size citySize) error {
	rng := rand.New(rand.NewPCG(1, uint64(size.networks)))
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: "GeoLite2-City", BuildEpoch: time.Now().Unix(), RecordSize: 28, IPVersion: 6,
		Languages: languages, Description: map[string]string{"en": "made-up cities, for measuring"},
		KeyGenerator: byCity{},
	})
	if err != nil {
		return fmt.Errorf("make a city database: %w", err)
	}
	w := cityWriter{rng: rng, tree: tree, countries: makeCountries(rng, size.cities)}
	if err := w.insertAll(size.networks); err != nil {
		return fmt.Errorf("make a city database: %w", err)
	}
	return state.Replace(path, 0o644, func(out io.Writer) error {
		buffered := bufio.NewWriterSize(out, 1<<20)
		if _, err := tree.WriteTo(buffered); err != nil {
			return err
		}
		return buffered.Flush()
	})
}

var languages = []string{"de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"}

// byCity keys a record by its city's number, which no other record has.
type byCity struct{}

func (byCity) Key(v mmdbtype.DataType) ([]byte, error) {
	city := v.(mmdbtype.Map)["city"].(mmdbtype.Map)
	return binary.BigEndian.AppendUint32(nil, uint32(city["geoname_id"].(mmdbtype.Uint32))), nil
}

// makeCountries returns the records of n cities, by country. Countries are of
// very different sizes, and a country's cities are near each other.
func makeCountries(rng *rand.Rand, n int) (countries [][]mmdbtype.Map) {
	for made := 0; made < n; {
		number := len(countries)
		country := mmdbtype.Map{
			"geoname_id": mmdbtype.Uint32(1_000_000 + number),
			"iso_code":   mmdbtype.String(fmt.Sprintf("%c%c", 'A'+number/26%26, 'A'+number%26)),
			"names":      named("Land", number),
		}
		lat, lon := rng.Float64()*110-45, rng.Float64()*340-170
		var cities []mmdbtype.Map
		for range min(n-made, 20+rng.IntN(n/80+1)) {
			made++
			cities = append(cities, mmdbtype.Map{
				"city":               mmdbtype.Map{"geoname_id": mmdbtype.Uint32(made), "names": named("Town", made)},
				"continent":          mmdbtype.Map{"code": mmdbtype.String("EU"), "names": named("Continent", number%6)},
				"country":            country,
				"registered_country": country,
				"location": mmdbtype.Map{
					"accuracy_radius": mmdbtype.Uint16(5 << rng.IntN(8)),
					"latitude":        near(rng, lat), "longitude": near(rng, lon),
					"time_zone": mmdbtype.String(fmt.Sprintf("Continent/Land%d", number)),
				},
				"postal": mmdbtype.Map{"code": mmdbtype.String(fmt.Sprintf("%05d", rng.IntN(100_000)))},
			})
		}
		countries = append(countries, cities)
	}
	return countries
}

// near is within 8 degrees, to four decimals as the true ones are.
func near(rng *rand.Rand, degrees float64) mmdbtype.Float64 {
	return mmdbtype.Float64(float64(int((degrees+rng.Float64()*16-8)*1e4)) / 1e4)
}

// named is one name in every language; those of another script differ.
func named(kind string, number int) mmdbtype.Map {
	names := mmdbtype.Map{}
	for _, l := range languages {
		text := fmt.Sprintf("%s %d", kind, number)
		if l == "ja" || l == "ru" || l == "zh-CN" {
			text += " " + l
		}
		names[mmdbtype.String(l)] = mmdbtype.String(text)
	}
	return names
}

type cityWriter struct {
	rng       *rand.Rand
	tree      *mmdbwriter.Tree
	countries [][]mmdbtype.Map
}

// insertAll fills the public address space with about n networks, four fifths
// of them IPv4.
func (w cityWriter) insertAll(n int) error {
	var v4 []netip.Prefix
	for first := range 223 {
		switch first {
		case 0, 10, 100, 127, 169, 172, 192, 198, 203: // with reserved networks in them
		default:
			v4 = append(v4, netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(first)}), 8))
		}
	}
	v6 := []netip.Prefix{
		netip.MustParsePrefix("2400::/12"), netip.MustParsePrefix("2600::/12"),
		netip.MustParsePrefix("2800::/12"), netip.MustParsePrefix("2a00::/12"), netip.MustParsePrefix("2c00::/12"),
	}
	for _, p := range v4 {
		if err := w.insert(p, n*4/5/len(v4), nil, 12); err != nil {
			return err
		}
	}
	for _, p := range v6 {
		if err := w.insert(p, n/5/len(v6), nil, 24); err != nil {
			return err
		}
	}
	return nil
}

// insert divides p into about n networks. From ownBits on a block is in one
// country; of its networks some share a city with their neighbours, one in
// twenty is elsewhere, one in fifty is nowhere.
func (w cityWriter) insert(p netip.Prefix, n int, cities []mmdbtype.Map, ownBits int) error {
	if cities == nil && p.Bits() >= ownBits {
		cities = w.countries[w.rng.IntN(len(w.countries))]
	}
	if cities != nil && len(cities) > 8 && w.rng.IntN(3) == 0 {
		at := w.rng.IntN(len(cities) - 7)
		cities = cities[at : len(cities)-w.rng.IntN(len(cities)-at-7)]
	}
	if n <= 1 || p.Bits() >= 64 || p.Addr().Is4() && p.Bits() >= 32 {
		if cities == nil || w.rng.IntN(20) == 0 {
			cities = w.countries[w.rng.IntN(len(w.countries))]
		}
		if w.rng.IntN(50) == 0 && !p.Overlaps(visitor) {
			return nil
		}
		return w.tree.Insert(ipNet(p), cities[w.rng.IntN(len(cities))])
	}
	low, high := halves(p)
	part := int(float64(n) * (0.2 + 0.6*w.rng.Float64()))
	if err := w.insert(low, part, cities, ownBits); err != nil {
		return err
	}
	return w.insert(high, n-part, cities, ownBits)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	b := p.Addr().AsSlice()
	b[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	upper, _ := netip.AddrFromSlice(b)
	return netip.PrefixFrom(p.Addr(), p.Bits()+1), netip.PrefixFrom(upper, p.Bits()+1)
}
