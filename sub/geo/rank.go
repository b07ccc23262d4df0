package geo

import (
	"math"

	"b8s/place"
)

// ranker finds the nearest three of a list of candidates. Candidates are
// compared by the cosine of their angle, a tenth of the cost of the haversine;
// where that can't tell them apart for certain, the haversine decides.
type ranker struct {
	at   []place.Point
	unit []vector
	cos  []float64 // of the point in hand
}

type vector struct{ x, y, z float64 }

// doubt is the difference of cosines below which rounding may have swapped
// two candidates: a thousand times the rounding error, some metres on Earth.
const doubt = 1e-12

func newRanker(candidates []Candidate) *ranker {
	r := &ranker{cos: make([]float64, len(candidates))}
	for _, c := range candidates {
		r.at = append(r.at, c.At)
		r.unit = append(r.unit, toVector(c.At))
	}
	return r
}

func toVector(p place.Point) vector {
	const rad = math.Pi / 180
	sinLat, cosLat := math.Sincos(p.Lat * rad)
	sinLon, cosLon := math.Sincos(p.Lon * rad)
	return vector{cosLat * cosLon, cosLat * sinLon, sinLat}
}

// nearest returns the order for a point.
func (r *ranker) nearest(p place.Point) [3]uint8 {
	u := toVector(p)
	order := [3]uint8{None, None, None}
	best := [4]float64{-3, -3, -3, -3} // the fourth to see whether the third is certain
	for i, v := range r.unit {
		c := u.x*v.x + u.y*v.y + u.z*v.z
		r.cos[i] = c
		if c <= best[3] {
			continue
		}
		k := 3
		for ; k > 0 && c > best[k-1]; k-- {
			best[k] = best[k-1]
			if k < 3 {
				order[k] = order[k-1]
			}
		}
		best[k] = c
		if k < 3 {
			order[k] = uint8(i)
		}
	}
	for k := 0; k < 3 && best[k+1] >= -2; k++ {
		if best[k]-best[k+1] < doubt {
			return r.exact(p, best[2]-doubt)
		}
	}
	return order
}

// exact orders by place.Distance the candidates whose cosine is at least
// floor, ties by index.
func (r *ranker) exact(p place.Point, floor float64) [3]uint8 {
	order := [3]uint8{None, None, None}
	best := [3]float64{math.Inf(1), math.Inf(1), math.Inf(1)}
	for i, at := range r.at {
		if r.cos[i] < floor {
			continue
		}
		d := place.Distance(p, at)
		k := 3
		for ; k > 0 && d < best[k-1]; k-- {
			if k < 3 {
				best[k], order[k] = best[k-1], order[k-1]
			}
		}
		if k < 3 {
			best[k], order[k] = d, uint8(i)
		}
	}
	return order
}
