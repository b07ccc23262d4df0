package tunnel

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
)

const someRecipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

func hello(dom *Device) DomHello {
	return DomHello{Schema: HelloSchema, PublicKey: dom.Key(), Name: "sydney", Epoch: 7, Version: "v1.2.3"}
}

func subHello() SubHello {
	return SubHello{Schema: HelloSchema, Recipient: someRecipient, Platform: "linux/amd64", Version: "v1.2.3", Port: 51820}
}

func TestDomHelloValidate(t *testing.T) {
	good := DomHello{Schema: 1, PublicKey: PublicKey{1}, Name: "sydney-2", Epoch: 1, Version: "dev"}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for says, spoil := range map[string]func(*DomHello){
		"schema 2":   func(h *DomHello) { h.Schema = 2 },
		"schema 0":   func(h *DomHello) { h.Schema = 0 },
		"public key": func(h *DomHello) { h.PublicKey = PublicKey{} },
		"name":       func(h *DomHello) { h.Name = "Sydney" },
		`name ""`:    func(h *DomHello) { h.Name = "" },
		"name \"-a":  func(h *DomHello) { h.Name = "-a" },
		"name \"a":   func(h *DomHello) { h.Name = strings.Repeat("a", 64) },
		"epoch":      func(h *DomHello) { h.Epoch = 0 },
		"version":    func(h *DomHello) { h.Version = "1 2" },
	} {
		h := good
		spoil(&h)
		if err := h.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func TestSubHelloValidate(t *testing.T) {
	good := subHello()
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for says, spoil := range map[string]func(*SubHello){
		"schema":    func(h *SubHello) { h.Schema = 2 },
		"recipient": func(h *SubHello) { h.Recipient = "ssh-ed25519" },
		"AGE1":      func(h *SubHello) { h.Recipient = strings.ToUpper(someRecipient) },
		"platform":  func(h *SubHello) { h.Platform = "linux" },
		"linux/":    func(h *SubHello) { h.Platform = "linux/" },
		"version":   func(h *SubHello) { h.Version = "" },
		"port":      func(h *SubHello) { h.Port = 0 },
	} {
		h := good
		spoil(&h)
		if err := h.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

func frame(text string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
}

func TestReadMessage(t *testing.T) {
	var buf bytes.Buffer
	want := subHello()
	if err := writeMessage(&buf, answer{SubHello: want}); err != nil {
		t.Fatal(err)
	}
	buf.WriteString("rest")
	var got answer
	if err := readMessage(&buf, &got); err != nil || got.SubHello != want {
		t.Errorf("%+v, %v", got, err)
	}
	if buf.String() != "rest" {
		t.Errorf("%q is left", buf.String())
	}
	newer := frame(`{"schema":1,"port":5,"colour":{"deep":["blue"]}}`)
	if err := readMessage(bytes.NewReader(newer), &got); err != nil || got.Port != 5 {
		t.Errorf("unknown field: %+v, %v", got, err)
	}
}

func TestReadMessageRefuses(t *testing.T) {
	for name, in := range map[string][]byte{
		"nothing":      nil,
		"half a head":  {0, 0},
		"empty":        frame(""),
		"cut":          frame(`{"schema":1}`)[:8],
		"too long":     append(binary.BigEndian.AppendUint32(nil, maxHello+1), make([]byte, maxHello+1)...),
		"huge":         {0xff, 0xff, 0xff, 0xff, '{'},
		"not JSON":     frame("schema"),
		"two values":   frame(`{"schema":1}{}`),
		"wrong type":   frame(`{"port":"many"}`),
		"port too big": frame(`{"port":65536}`),
	} {
		var got answer
		if err := readMessage(bytes.NewReader(in), &got); err == nil {
			t.Errorf("%s: read %+v", name, got)
		}
	}
	if err := writeMessage(&bytes.Buffer{}, answer{Refused: strings.Repeat("x", maxHello)}); err == nil {
		t.Error("wrote a message that no one reads")
	}
}

// Whatever a stranger sends, what validates is safe to keep and to print.
func FuzzHello(f *testing.F) {
	sub, _ := json.Marshal(answer{SubHello: subHello()})
	dom, _ := json.Marshal(DomHello{Schema: 1, PublicKey: PublicKey{1}, Name: "a", Epoch: 1, Version: "x"})
	f.Add(frame(string(sub)))
	f.Add(frame(string(dom)))
	f.Fuzz(func(t *testing.T, in []byte) {
		var d DomHello
		if readMessage(bytes.NewReader(in), &d) == nil && d.Validate() == nil {
			if !isName(d.Name) || d.PublicKey.IsZero() || d.Epoch == 0 || strings.ContainsAny(d.Version, "\n\x1b ") {
				t.Errorf("validated %+v", d)
			}
		}
		var s answer
		if readMessage(bytes.NewReader(in), &s) == nil && s.Validate() == nil {
			if s.Port == 0 || strings.ContainsAny(s.Recipient+s.Platform+s.Version, "\n\x1b ") {
				t.Errorf("validated %+v", s)
			}
		}
	})
}
