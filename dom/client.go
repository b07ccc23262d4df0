package dom

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"b8s/control"
	"b8s/state"
)

// Client speaks to the dom that runs on a state folder. Events of a verb reach
// its callback in order, nil drops them. Errors are control.ErrNoDaemon, a
// *control.Fault, or the transport's; with a fault, the result is what the
// verb could still tell.
type Client struct {
	State string
}

func call[Res any](ctx context.Context, c Client, verb string, req any, onEvent func(Event)) (res Res, err error) {
	socket, err := control.SocketPath(c.State)
	if err != nil {
		return res, err
	}
	return control.Call[Res](ctx, socket, verb, req, func(raw json.RawMessage) {
		var e Event
		if json.Unmarshal(raw, &e) == nil && onEvent != nil {
			onEvent(e)
		}
	})
}

// Ping says whether a dom answers.
func (c Client) Ping(ctx context.Context) error {
	_, err := call[struct{}](ctx, c, verbPing, struct{}{}, nil)
	return err
}

// AddSub enrols a sub and checks it; see AddSubRequest.
func (c Client) AddSub(ctx context.Context, req AddSubRequest, onEvent func(Event)) (AddSubResult, error) {
	return call[AddSubResult](ctx, c, verbAddSub, req, onEvent)
}

// PublishRecords publishes zones, nameservers and sites.
func (c Client) PublishRecords(ctx context.Context, req PublishRequest, onEvent func(Event)) (PublishResult, error) {
	return call[PublishResult](ctx, c, verbPublishRecords, req, onEvent)
}

// UndoRecords goes back one revision.
func (c Client) UndoRecords(ctx context.Context, req UndoRequest, onEvent func(Event)) (PublishResult, error) {
	return call[PublishResult](ctx, c, verbUndoRecords, req, onEvent)
}

// HistoryRecords lists a zone's revisions, newest first.
func (c Client) HistoryRecords(ctx context.Context, zone string) ([]HistoryEntry, error) {
	return call[[]HistoryEntry](ctx, c, verbHistoryRecords, ZoneRequest{zone}, nil)
}

// Delegation is what the registrar has to be told of a published zone.
func (c Client) Delegation(ctx context.Context, zone string) (DelegationResult, error) {
	return call[DelegationResult](ctx, c, verbDelegation, ZoneRequest{zone}, nil)
}

// PublishGeoLite publishes a city database.
func (c Client) PublishGeoLite(ctx context.Context, req GeoLiteRequest, onEvent func(Event)) (GeoLiteResult, error) {
	return call[GeoLiteResult](ctx, c, verbPublishGeoLite, req, onEvent)
}

// Force raises a bucket's epoch, so that every sub takes it over as it is.
func (c Client) Force(ctx context.Context, req ForceRequest, onEvent func(Event)) (ForceResult, error) {
	return call[ForceResult](ctx, c, verbForce, req, onEvent)
}

// Status is what the dom knows of itself and its subs.
func (c Client) Status(ctx context.Context) (Report, error) {
	return call[Report](ctx, c, verbStatus, struct{}{}, nil)
}

// Nats opens the bus on loopback and calls use with the way in; the way is
// closed when use returns.
func (c Client) Nats(ctx context.Context, req NatsRequest, use func(NatsAccess) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	socket, err := control.SocketPath(c.State)
	if err != nil {
		return err
	}
	var used error
	_, err = control.Call[struct{}](ctx, socket, verbNats, req, func(raw json.RawMessage) {
		var access NatsAccess
		if used = json.Unmarshal(raw, &access); used == nil {
			used = use(access)
		}
		cancel()
	})
	if used != nil || ctx.Err() != nil {
		return used
	}
	return err
}

// Upload puts a file where the daemon of the state folder can read it and
// returns the name to give it: the daemon may run as another user, so it is the
// content that travels. The daemon removes it once it is used.
func (c Client) Upload(r io.Reader) (name string, err error) {
	dir := filepath.Join(c.State, dirUploads)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	name = rand.Text()
	err = state.Replace(filepath.Join(dir, name), 0o600, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
	if err == nil {
		err = giveToOwner(c.State, dir, filepath.Join(dir, name))
	}
	if err != nil {
		return "", fmt.Errorf("hand the file to the dom: %w", err)
	}
	return name, nil
}

// giveToOwner lets root hand files to the user that the daemon runs as.
func giveToOwner(owned string, paths ...string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(owned)
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	for _, path := range paths {
		if err := os.Chown(path, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return nil
}
