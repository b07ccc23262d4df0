package zonefile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const maxGenerate = 1 << 16 // records of one $GENERATE

// generate makes the records of $GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS]
// TYPE RDATA, where $ and ${OFFSET,WIDTH,BASE} stand for the number, and \$
// and $$ for a $. Errors are those of the directive's line; the first bad
// record ends it.
func (s *scanner) generate(e *entry) error {
	line := e.line
	if len(e.tokens) < 4 {
		return s.fail(line, "$GENERATE takes a range, an owner, a type and rdata")
	}
	start, stop, step, err := parseRange(string(e.word(1)))
	if err != nil {
		return s.fail(line, "$GENERATE: %s", err)
	}
	template := string(e.rest(2))
	known := len(s.errs)
	var made entry
	for n := start; n <= stop && len(s.errs) == known; n += step {
		text, err := expand(template, n)
		if err == nil {
			made.line = line
			err = made.split(text)
		}
		if err != nil {
			return s.fail(line, "$GENERATE: %s", err)
		}
		if err := s.record(&made, line, false); err != nil {
			return err
		}
	}
	return nil
}

func parseRange(word string) (start, stop, step int64, err error) {
	bounds, by, hasStep := strings.Cut(word, "/")
	from, to, ok := strings.Cut(bounds, "-")
	step = 1
	a, ok1 := parseUint([]byte(from), 31)
	b, ok2 := parseUint([]byte(to), 31)
	if hasStep {
		var v uint64
		v, ok = parseUint([]byte(by), 31)
		step = int64(v)
	}
	if !ok || !ok1 || !ok2 || a > b || step == 0 {
		return 0, 0, 0, fmt.Errorf("range %q: want START-STOP or START-STOP/STEP", clip([]byte(word)))
	}
	if (int64(b)-int64(a))/step >= maxGenerate {
		return 0, 0, 0, fmt.Errorf("range %q: more than %d records", word, maxGenerate)
	}
	return int64(a), int64(b), step, nil
}

// expand puts n into the template.
func expand(template string, n int64) ([]byte, error) {
	out := make([]byte, 0, len(template)+16)
	for i := 0; i < len(template); i++ {
		c := template[i]
		next := byte(0)
		if i+1 < len(template) {
			next = template[i+1]
		}
		switch {
		case c == '\\' && next == '$', c == '$' && next == '$':
			out = append(out, '\\', '$')
			i++
		case c == '\\' && next != 0:
			out = append(out, c, next)
			i++
		case c == '$' && next == '{':
			end := strings.IndexByte(template[i:], '}')
			if end < 0 {
				return nil, errors.New("${ without }")
			}
			text, err := modified(template[i+2:i+end], n)
			if err != nil {
				return nil, err
			}
			out = append(out, text...)
			i += end
		case c == '$':
			out = strconv.AppendInt(out, n, 10)
		default:
			out = append(out, c)
		}
	}
	return out, nil
}

// modified is n as the modifier OFFSET[,WIDTH[,BASE]] says; BASE is d, o, x, X,
// or n and N for the nibbles of ip6.arpa.
func modified(modifier string, n int64) (string, error) {
	bad := fmt.Errorf("modifier {%s}: want {OFFSET,WIDTH,BASE}, BASE one of d o x X n N", clip([]byte(modifier)))
	parts := strings.Split(modifier, ",")
	offset, err := strconv.ParseInt(parts[0], 10, 32)
	if err != nil || len(parts) > 3 {
		return "", bad
	}
	var width uint64
	base := "d"
	if len(parts) > 1 {
		var ok bool
		if width, ok = parseUint([]byte(parts[1]), 8); !ok {
			return "", bad
		}
	}
	if len(parts) > 2 {
		base = parts[2]
	}
	if n += offset; n < 0 || n > 1<<31-1 {
		return "", fmt.Errorf("modifier {%s} gives %d, out of range", modifier, n)
	}
	switch base {
	case "d", "o", "x", "X":
		return fmt.Sprintf("%0*"+base, int(width), n), nil
	case "n", "N":
		return nibbles(n, int(width), base == "N"), nil
	}
	return "", bad
}

// nibbles gives the hexadecimal digits of n, last first, with dots between.
// width counts digits and dots.
func nibbles(n int64, width int, upper bool) string {
	digits := "0123456789abcdef"
	if upper {
		digits = "0123456789ABCDEF"
	}
	var out []byte
	for {
		out = append(out, digits[n&15])
		n >>= 4
		width -= 2
		if n == 0 && width <= 0 {
			return string(out)
		}
		out = append(out, '.')
	}
}
