package scenario

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A paragraph is some commands of a script, and what they print together.
type paragraph struct {
	line     int      // of the first command
	lead     []string // comments and empty lines before it
	commands []string
	input    []string // of the last command
	want     []string // nil: it prints nothing
}

const separator = "----"

// readScript splits a script into its paragraphs; what follows the last one
// is in tail.
func readScript(path string) (script []*paragraph, tail []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	var lead []string
	for i := 0; i < len(lines); {
		if lines[i] == "" || strings.HasPrefix(lines[i], "#") {
			lead = append(lead, lines[i])
			i++
			continue
		}
		end := i
		for end < len(lines) && lines[end] != "" {
			end++
		}
		p, err := readParagraph(lines[i:end])
		if err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		p.line, p.lead, lead = i+1, lead, nil
		script = append(script, p)
		i = end
	}
	return script, lead, nil
}

func readParagraph(lines []string) (*paragraph, error) {
	p := &paragraph{}
	if at := slices.Index(lines, separator); at >= 0 {
		if p.want = lines[at+1:]; len(p.want) == 0 {
			return nil, fmt.Errorf("nothing below %s: leave it out", separator)
		}
		lines = lines[:at]
	}
	for i, line := range lines {
		p.commands = append(p.commands, line)
		if strings.HasSuffix(line, "<<") {
			p.input = lines[i+1:]
			break
		}
	}
	return p, nil
}

// writeScript is the inverse of readScript.
func writeScript(path string, script []*paragraph, tail []string) error {
	var lines []string
	for _, p := range script {
		lines = append(append(append(lines, p.lead...), p.commands...), p.input...)
		if len(p.want) > 0 {
			lines = append(append(lines, separator), p.want...)
		}
	}
	lines = append(lines, tail...)
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// A call is one command with its words.
type call struct {
	name  string
	args  []string
	opts  map[string]string // words of the form key=value
	input string
}

// parseCall splits a command into words; one with spaces stands in quotes.
func parseCall(command string, input []string) (call, error) {
	c := call{opts: map[string]string{}}
	rest := strings.TrimSpace(command)
	if before, ok := strings.CutSuffix(rest, "<<"); ok {
		rest, c.input = strings.TrimSpace(before), strings.Join(input, "\n")+"\n"
	}
	for rest != "" {
		word, after, err := nextWord(rest)
		if err != nil {
			return c, fmt.Errorf("%s: %w", command, err)
		}
		rest = strings.TrimSpace(after)
		key, value, isOption := strings.Cut(word, "=")
		switch {
		case c.name == "":
			c.name = word
		case isOption && !strings.Contains(key, " "):
			c.opts[key] = value
		default:
			c.args = append(c.args, word)
		}
	}
	return c, nil
}

func nextWord(s string) (word, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		word, rest, _ = strings.Cut(s, " ")
		return word, rest, nil
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", err
	}
	word, err = strconv.Unquote(quoted)
	return word, s[len(quoted):], err
}

// arg is the i-th word, "" where there is none.
func (c call) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// has says whether word is among the words.
func (c call) has(word string) bool { return slices.Contains(c.args, word) }
