package kv

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"

	"b8s/state"
)

// epochs is the file that remembers each bucket's epoch beside the store. An
// epoch rises by Force alone: a bucket that is made anew has the epoch of the
// file, or 1.
type epochs struct {
	path    string            // empty: not kept
	Epochs  map[string]uint64 `json:"epochs"`
	Forcing map[string]uint64 `json:"forcing,omitempty"` // a Force that has to be finished
}

func readEpochs(path string) (*epochs, error) {
	e := &epochs{path: path}
	if path != "" {
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, e)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("epochs %s: %w", path, err)
		}
	}
	if e.Epochs == nil {
		e.Epochs = map[string]uint64{}
	}
	if e.Forcing == nil {
		e.Forcing = map[string]uint64{}
	}
	return e, nil
}

// of is the epoch that a new stream of bucket gets.
func (e *epochs) of(bucket string) uint64 { return max(e.Epochs[bucket], 1) }

// set changes the file; where that fails nothing has changed.
func (e *epochs) set(change func(*epochs)) error {
	next := &epochs{path: e.path, Epochs: maps.Clone(e.Epochs), Forcing: maps.Clone(e.Forcing)}
	change(next)
	if e.path != "" {
		b, err := json.MarshalIndent(next, "", "  ")
		if err != nil {
			return err
		}
		if err := state.WriteFile(e.path, append(b, '\n'), 0o600); err != nil {
			return fmt.Errorf("epochs %s: %w", e.path, err)
		}
	}
	*e = *next
	return nil
}
