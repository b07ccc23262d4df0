package tunnel

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// HelloSchema is the schema number of the enrolment messages that this program
// writes. A message with a higher one is refused, unknown fields are ignored.
const HelloSchema = 1

// maxHello bounds an enrolment message, in bytes.
const maxHello = 16 << 10

// DomHello is what the dom says to a sub that it enrols.
type DomHello struct {
	Schema    int       `json:"schema"`
	PublicKey PublicKey `json:"public_key"` // the dom's own, of the real tunnel
	Name      string    `json:"name"`       // what the operator calls the sub
	Epoch     uint64    `json:"epoch"`
	Version   string    `json:"version"` // of the dom's program
}

// SubHello is what a sub answers.
type SubHello struct {
	Schema    int    `json:"schema"`
	Recipient string `json:"recipient"` // age recipient, to seal keys to
	Platform  string `json:"platform"`  // as linux/amd64
	Version   string `json:"version"`   // of the sub's program
	Port      uint16 `json:"port"`      // UDP port of the real tunnel
}

// answer is the sub's message: a SubHello, or why there is none.
type answer struct {
	SubHello
	Refused string `json:"refused,omitempty"`
}

// Validate returns what makes a DomHello unusable.
func (h *DomHello) Validate() error {
	switch {
	case h.Schema < 1 || h.Schema > HelloSchema:
		return schemaError(h.Schema)
	case h.PublicKey.IsZero():
		return errors.New("no public key")
	case !isName(h.Name):
		return fmt.Errorf("name %q: 1 to 63 of a-z, 0-9 and -, the first no -", short(h.Name))
	case h.Epoch == 0:
		return errors.New("no epoch")
	case !isWord(h.Version):
		return fmt.Errorf("version %q", short(h.Version))
	}
	return nil
}

// Validate returns what makes a SubHello unusable.
func (h *SubHello) Validate() error {
	platform := strings.Split(h.Platform, "/")
	switch {
	case h.Schema < 1 || h.Schema > HelloSchema:
		return schemaError(h.Schema)
	case !isRecipient(h.Recipient):
		return fmt.Errorf("age recipient %q", short(h.Recipient))
	case len(platform) != 2 || !isName(platform[0]) || !isName(platform[1]):
		return fmt.Errorf("platform %q: written as linux/amd64", short(h.Platform))
	case !isWord(h.Version):
		return fmt.Errorf("version %q", short(h.Version))
	case h.Port == 0:
		return errors.New("no UDP port")
	}
	return nil
}

func schemaError(schema int) error {
	return fmt.Errorf("schema %d, this program reads up to %d: bring both ends to the same version", schema, HelloSchema)
}

// isName reports whether s can be the name of a sub.
func isName(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && only(s, "abcdefghijklmnopqrstuvwxyz0123456789-")
}

// isRecipient reports whether s looks like an age recipient, of any kind.
func isRecipient(s string) bool {
	rest, ok := strings.CutPrefix(s, "age1")
	return ok && len(rest) >= 50 && len(rest) <= 4096 && only(rest, "abcdefghijklmnopqrstuvwxyz0123456789")
}

// isWord reports whether s is 1 to 64 printable characters without spaces.
func isWord(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

func only(s, set string) bool { return strings.Trim(s, set) == "" }

// short is s as far as an error may quote it.
func short(s string) string { return s[:min(len(s), 80)] }

// writeMessage sends one message: its length in four bytes, big-endian, and
// its JSON.
func writeMessage(w io.Writer, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(text) > maxHello {
		return fmt.Errorf("message of %d bytes, %d are possible", len(text), maxHello)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

// readMessage receives what writeMessage sent. It reads not a byte more.
func readMessage(r io.Reader, message any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxHello {
		return fmt.Errorf("message of %d bytes, 1 to %d are possible", n, maxHello)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, message); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	return nil
}
