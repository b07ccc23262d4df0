package dom

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"b8s/control"
	"b8s/seal"
	"b8s/state"
	"b8s/tunnel"
)

// Files of the dom's state folder. Keys are 0600.
const (
	fileIdentity = "dom.json"
	fileTunnel   = "wireguard.key"
	fileAge      = "dom.age"
	fileStoreKey = "store.key"
	fileFleet    = "fleet.json"
	fileJournal  = "published.json"
	fileEpochs   = "epochs.json"
	fileClock    = "clock"
	fileGeoLite  = "geolite.json"
	dirStore     = "store"
	dirGeoLite   = "geolite"
	dirUploads   = "uploads"
)

// identity is what makes a dom that dom: lose it and every sub has to be
// enrolled anew (b8s sub token).
type identity struct {
	Created time.Time
	Tunnel  tunnel.PrivateKey
	Seal    seal.Identity
	Store   []byte // encryption of the bus's store at rest, 32 bytes
}

// Init makes a dom's state folder and its keys. It changes nothing that is
// there already: existed tells that a dom was there before, and a run that was
// killed half-way is completed by the next.
func Init(path string) (key tunnel.PublicKey, existed bool, err error) {
	dir, err := state.Open(path)
	if err != nil {
		return key, false, err
	}
	defer dir.Close()
	_, err = os.Stat(dir.File(fileIdentity))
	existed = err == nil
	private, err := tunnel.LoadOrCreate(dir.File(fileTunnel))
	if err != nil {
		return key, existed, err
	}
	if _, err := seal.LoadOrCreate(dir.File(fileAge)); err != nil {
		return key, existed, err
	}
	if !existed {
		err = complete(dir)
	}
	return private.Public(), existed, err
}

// complete writes what makes the folder a dom's, the identity file last.
func complete(dir *state.Dir) error {
	storeKey := make([]byte, 32)
	rand.Read(storeKey)
	if _, err := os.Stat(dir.File(fileStoreKey)); errors.Is(err, fs.ErrNotExist) {
		if err := state.WriteFile(dir.File(fileStoreKey), storeKey, 0o600); err != nil {
			return err
		}
	}
	about, err := json.Marshal(map[string]any{"schema": 1, "created": time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return state.WriteFile(dir.File(fileIdentity), about, 0o600)
}

// loadIdentity reads what Init made, and makes nothing: a key that is missing
// is a loss to be told, not a gap to be filled.
func loadIdentity(dir *state.Dir) (id identity, err error) {
	about, err := os.ReadFile(dir.File(fileIdentity))
	if errors.Is(err, fs.ErrNotExist) {
		return id, control.Usage(fmt.Errorf("no dom in %s", dir.Path), "make one:  b8s dom init --state "+dir.Path)
	}
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(about, &id); err != nil {
		return id, fmt.Errorf("%s: %w", dir.File(fileIdentity), err)
	}
	for _, name := range []string{fileTunnel, fileAge, fileStoreKey} {
		if _, err := os.Stat(dir.File(name)); err != nil {
			return id, control.Failed(fmt.Errorf("dom's key: %w", err), "restore the file from a backup of the state folder; without it the subs have to be enrolled again")
		}
	}
	if id.Tunnel, err = tunnel.LoadOrCreate(dir.File(fileTunnel)); err != nil {
		return id, err
	}
	if id.Seal, err = seal.LoadOrCreate(dir.File(fileAge)); err != nil {
		return id, err
	}
	if id.Store, err = os.ReadFile(dir.File(fileStoreKey)); err != nil {
		return id, err
	}
	if len(id.Store) != 32 {
		return id, control.Failed(fmt.Errorf("%s: %d bytes, want 32", dir.File(fileStoreKey), len(id.Store)), "restore the file from a backup of the state folder")
	}
	return id, nil
}
