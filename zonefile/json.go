package zonefile

import (
	"encoding/json"
	"fmt"
)

// zoneJSON is a Zone on its way to the daemon: its text, and where each record
// was read, so that errors found there can still name file and line.
type zoneJSON struct {
	Apex     string      `json:"apex"`
	Text     string      `json:"text"`
	Warnings []string    `json:"warnings,omitempty"`
	Files    []string    `json:"files,omitempty"`
	At       [][2]uint32 `json:"at,omitempty"` // file and line of each line of Text
}

// MarshalJSON keeps records, warnings and positions.
func (z *Zone) MarshalJSON() ([]byte, error) {
	j := zoneJSON{Apex: z.Apex, Text: string(z.Text()), Warnings: z.Warnings, Files: z.files}
	for _, p := range z.at {
		j.At = append(j.At, [2]uint32{p.file, p.line})
	}
	return json.Marshal(j)
}

// UnmarshalJSON is the inverse of MarshalJSON. It checks the zone as Parse
// does, but for NS at the apex.
func (z *Zone) UnmarshalJSON(b []byte) error {
	var j zoneJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	back, err := Options{WithoutNS: true}.Parse(j.Apex, []byte(j.Text), "zone "+j.Apex)
	if err != nil {
		return err
	}
	if len(j.At) > 0 {
		if err := back.place(j.Files, j.At); err != nil {
			return fmt.Errorf("zone %s: %w", j.Apex, err)
		}
	}
	back.Warnings = j.Warnings
	*z = *back
	return nil
}

// place sets the positions of the records.
func (z *Zone) place(files []string, at [][2]uint32) error {
	if len(at) != len(z.Records) {
		return fmt.Errorf("%d positions for %d records", len(at), len(z.Records))
	}
	z.files = files
	z.at = make([]position, len(at))
	for i, p := range at {
		if p[1] != 0 && int(p[0]) >= len(files) {
			return fmt.Errorf("position of record %d names no file", i+1)
		}
		z.at[i] = position{p[0], p[1]}
	}
	return nil
}
