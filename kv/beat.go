package kv

import "encoding/json"

// Beat is what the dom's heartbeat carries. As JSON it is below 1,100 bytes.
type Beat struct {
	Boot  string `json:"b"` // of the dom's process: another one is not at the other end of old connections
	Heads Heads  `json:"h"`
}

// Encode makes the heartbeat's payload.
func (b Beat) Encode() []byte {
	text, err := json.Marshal(b)
	if err != nil {
		panic(err) // names and numbers
	}
	return text
}

// DecodeBeat reads the heartbeat's payload.
func DecodeBeat(payload []byte) (b Beat, err error) {
	err = json.Unmarshal(payload, &b)
	return b, err
}
