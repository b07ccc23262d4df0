package config

// asciiForm is a label of an internationalised name in Punycode (RFC 3492),
// with its xn-- before it. It maps no characters: good for a hint only.
func asciiForm(label string) string {
	runes := []rune(label)
	out := []byte("xn--")
	basic := 0
	for _, r := range runes {
		if r < 0x80 {
			out = append(out, byte(r))
			basic++
		}
	}
	if basic == len(runes) {
		return label
	}
	if basic > 0 {
		out = append(out, '-')
	}
	n, delta, bias := rune(0x80), 0, 72
	for done := basic; done < len(runes); n++ {
		m := next(runes, n)
		delta += int(m-n) * (done + 1)
		n = m
		for _, r := range runes {
			if r < n {
				delta++
			}
			if r == n {
				out = appendVariable(out, delta, bias)
				bias = adapt(delta, done+1, done == basic)
				delta = 0
				done++
			}
		}
		delta++
	}
	return string(out)
}

// next is the smallest rune of at least n.
func next(runes []rune, n rune) rune {
	m := rune(0x7fffffff)
	for _, r := range runes {
		if r >= n && r < m {
			m = r
		}
	}
	return m
}

// appendVariable writes delta as a generalized variable-length integer.
func appendVariable(out []byte, delta, bias int) []byte {
	for k := 36; ; k += 36 {
		t := min(max(k-bias, 1), 26)
		if delta < t {
			return append(out, punyDigit(delta))
		}
		out = append(out, punyDigit(t+(delta-t)%(36-t)))
		delta = (delta - t) / (36 - t)
	}
}

func punyDigit(d int) byte {
	if d < 26 {
		return byte('a' + d)
	}
	return byte('0' + d - 26)
}

func adapt(delta, points int, first bool) int {
	if first {
		delta /= 700
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for ; delta > 455; k += 36 {
		delta /= 35
	}
	return k + 36*delta/(delta+38)
}
