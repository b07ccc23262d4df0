package zonefile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"
)

// maxEntry bounds an entry with all its lines: more than any record needs
// (65,535 octets of rdata, four characters each), and what one forgotten
// parenthesis may take up.
const maxEntry = 512 << 10

// token is a word of an entry: text[start:end], without its quotes.
type token struct {
	start, end int
	quoted     bool
}

// entry is a record or directive on one line: comments are gone, parentheses
// opened, words found. It is valid until the next one is read.
type entry struct {
	text   []byte
	line   int   // of its first octet
	breaks []int // where in text each further line begins
	tokens []token
}

func (e *entry) word(i int) []byte { return e.text[e.tokens[i].start:e.tokens[i].end] }

// blank reports whether the entry starts with white space: the owner of the
// record before it goes on.
func (e *entry) blank() bool { return e.text[0] == ' ' || e.text[0] == '\t' }

// lineAt is the line of the octet at offset.
func (e *entry) lineAt(offset int) int {
	line := e.line
	for _, b := range e.breaks {
		if b <= offset {
			line++
		}
	}
	return line
}

// rest is the text from word i on, quotes included.
func (e *entry) rest(i int) []byte {
	if i >= len(e.tokens) {
		return nil
	}
	t := e.tokens[i]
	if t.quoted {
		t.start--
	}
	return bytes.TrimRight(e.text[t.start:], " \t\r")
}

// entryReader splits a master file into entries.
type entryReader struct {
	br    *bufio.Reader
	line  int    // lines read
	long  []byte // a line longer than br's buffer
	clean []byte // an entry of several lines
	entry entry
}

var readers = sync.Pool{New: func() any { return &entryReader{br: bufio.NewReaderSize(nil, 64<<10)} }}

func newEntryReader(r io.Reader) *entryReader {
	er := readers.Get().(*entryReader)
	er.br.Reset(r)
	er.line = 0
	return er
}

func (r *entryReader) release() {
	r.br.Reset(nil)
	if cap(r.clean)+cap(r.long) < 1<<20 {
		readers.Put(r)
	}
}

// lexError is an error of the text itself, at its line.
type lexError struct {
	line   int
	reason string
}

func (e *lexError) Error() string { return e.reason }

var errQuote = errors.New("quote not closed on its line")

// next gives the next entry that holds a word; io.EOF at the end. After a
// lexError it can be called again.
func (r *entryReader) next() (*entry, error) {
	for {
		line, err := r.readLine()
		if err != nil {
			return nil, err
		}
		e := &r.entry
		e.line, e.breaks = r.line, e.breaks[:0]
		if bytes.IndexByte(line, '(') >= 0 || bytes.IndexByte(line, ')') >= 0 {
			if line, err = r.join(line); err != nil {
				return nil, err
			}
		}
		if err := e.split(line); err != nil {
			return nil, &lexError{e.line, err.Error()}
		}
		if len(e.tokens) > 0 {
			return e, nil
		}
	}
}

// readLine gives a line without its end, valid until the next call.
func (r *entryReader) readLine() ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		r.long = append(r.long[:0], line...)
		for err == bufio.ErrBufferFull {
			line, err = r.br.ReadSlice('\n')
			if len(r.long) <= maxEntry {
				r.long = append(r.long, line...)
			}
		}
		if len(r.long) > maxEntry {
			r.line++
			return nil, &lexError{r.line, "line longer than 512 KiB"}
		}
		line = r.long
	}
	if err != nil && (err != io.EOF || len(line) == 0) {
		return nil, err
	}
	r.line++
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), nil
}

// join makes one line of all lines up to the closing parenthesis, without
// comments and parentheses.
func (r *entryReader) join(line []byte) ([]byte, error) {
	first, opened := r.line, r.line
	r.clean = r.clean[:0]
	depth := 0
	for {
		before := depth
		var err error
		if depth, err = r.joinLine(line, depth); err != nil {
			return nil, &lexError{r.line, err.Error()}
		}
		if before == 0 && depth > 0 {
			opened = r.line
		}
		if depth == 0 {
			r.entry.line = first
			return r.clean, nil
		}
		if len(r.clean) > maxEntry {
			return nil, &lexError{opened, "parenthesis not closed within 512 KiB"}
		}
		r.clean = append(r.clean, ' ')
		r.entry.breaks = append(r.entry.breaks, len(r.clean))
		if line, err = r.readLine(); err != nil {
			if err == io.EOF {
				err = &lexError{opened, "parenthesis not closed"}
			}
			return nil, err
		}
	}
}

// joinLine appends what counts of a line and gives the depth at its end.
func (r *entryReader) joinLine(line []byte, depth int) (int, error) {
	quoted := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\':
			r.clean = append(r.clean, c)
			if i++; i < len(line) {
				r.clean = append(r.clean, line[i])
			}
			continue
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';':
			return depth, nil
		case c == '(':
			depth++
			if len(r.clean) > 0 {
				r.clean = append(r.clean, ' ')
			}
			continue
		case c == ')':
			if depth--; depth < 0 {
				return 0, errors.New("closing parenthesis without an opening one")
			}
			c = ' '
		}
		if len(r.clean) == 0 && depth > 0 && (c == ' ' || c == '\t') {
			continue // the parenthesis came first: no owner is left out
		}
		r.clean = append(r.clean, c)
	}
	if quoted {
		return 0, errQuote
	}
	return depth, nil
}

// split finds the words of a line without parentheses.
func (e *entry) split(line []byte) error {
	e.tokens = e.tokens[:0]
	for i := 0; i < len(line); {
		switch line[i] {
		case ' ', '\t', '\r':
			i++
		case ';':
			e.text = line[:i]
			return nil
		case '"':
			end := endOfQuote(line, i+1)
			if end < 0 {
				return errQuote
			}
			e.tokens = append(e.tokens, token{i + 1, end, true})
			i = end + 1
		default:
			end := endOfWord(line, i)
			e.tokens = append(e.tokens, token{i, end, false})
			i = end
		}
	}
	e.text = line
	return nil
}

func endOfQuote(line []byte, i int) int {
	for ; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// ends marks the octets that end a word.
var ends = [256]bool{' ': true, '\t': true, '\r': true, ';': true, '"': true}

func endOfWord(line []byte, i int) int {
	for ; i < len(line); i++ {
		if c := line[i]; c == '\\' {
			i++
		} else if ends[c] {
			return i
		}
	}
	return len(line)
}
