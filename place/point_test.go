package place

import (
	"math"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Point
		ok   bool
	}{
		{"-33.87,151.21", Point{-33.87, 151.21}, true},
		{"51.5, -0.12", Point{51.5, -0.12}, true},
		{"90,-180", Point{90, -180}, true},
		{"91,0", Point{}, false},
		{"0,180.01", Point{}, false},
		{"NaN,0", Point{}, false},
		{"51.5", Point{}, false},
		{"51.5,x", Point{}, false},
		{"auto", Point{}, false},
	} {
		got, err := Parse(c.in)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("Parse(%q) = %v, %v; want %v, ok %v", c.in, got, err, c.want, c.ok)
		}
	}
}

func TestDistance(t *testing.T) {
	sydney, london, newYork := Point{-33.87, 151.21}, Point{51.51, -0.13}, Point{40.71, -74.01}
	for _, c := range []struct {
		p, q Point
		want float64
	}{
		{sydney, london, 16994},
		{london, newYork, 5570},
		{london, london, 0},
		{Point{0, 0}, Point{0, 180}, math.Pi * earthRadius},
		{Point{0, 179.5}, Point{0, -179.5}, math.Pi * earthRadius / 180},
	} {
		if got := Distance(c.p, c.q); math.Abs(got-c.want) > 5 || got != Distance(c.q, c.p) {
			t.Errorf("Distance(%v, %v) = %.0f km, want about %.0f, the same both ways", c.p, c.q, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-33.87,151.21")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(p.String()); err != nil || again != p {
			t.Errorf("Parse(%q) = %v, which reads back as %v, %v", s, p, again, err)
		}
	})
}
