package control

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// maxRequest bounds a request: the zones of a fleet, with room.
const maxRequest = 1 << 30

// line is one line of an answer; exactly one field is set.
type line struct {
	Event  json.RawMessage `json:"event,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Fault  *Fault          `json:"fault,omitempty"`
}

// Handle serves verb on mux. The handler's context ends when the caller goes
// away or the daemon stops; report sends an event to the caller at once and
// may be called from the handler's goroutine only.
func Handle[Req, Res any](mux *http.ServeMux, verb string, handler func(ctx context.Context, req Req, report func(event any)) (Res, error)) {
	mux.HandleFunc("POST /"+verb, func(w http.ResponseWriter, r *http.Request) {
		out := json.NewEncoder(w)
		send := func(l line) {
			out.Encode(l)
			w.(http.Flusher).Flush()
		}
		var req Req
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&req); err != nil {
			send(line{Fault: &Fault{Message: fmt.Sprintf("%s: request: %v", verb, err), Code: ExitUsage}})
			return
		}
		res, err := handler(r.Context(), req, func(event any) { send(line{Event: encode(event)}) })
		if err != nil {
			send(line{Fault: AsFault(err), Result: encode(res)})
			return
		}
		send(line{Result: encode(res)})
	})
}

// encode is for our own types, which marshal by construction.
func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Serve answers on the socket at path until ctx ends; then calls under way
// get three seconds to end. ready, if not nil, is called once it listens. The caller holds the state folder's lock, so
// a socket that is there already is a dead one's and is replaced.
func Serve(ctx context.Context, path string, mux *http.ServeMux, ready func()) error {
	l, err := listen(path)
	if err != nil {
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	if ready != nil {
		ready()
	}
	server := &http.Server{Handler: mux, BaseContext: func(net.Listener) context.Context { return ctx }}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close()
		}
		stopped <- nil
	})
	err = server.Serve(l)
	if stop() {
		return fmt.Errorf("control socket %s: %w", path, err)
	}
	<-stopped
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// maxSocketPath is what a Unix socket's address holds on every system, with
// room: 104 bytes on macOS, 108 on Linux.
const maxSocketPath = 100

// SocketPath is where the daemon of a state folder listens: in the folder, or,
// where that path is too long for a socket, in a folder of the user's own
// below the system's temporary one, named after the state folder.
func SocketPath(stateDir string) (string, error) {
	abs, err := filepath.Abs(stateDir)
	if err != nil {
		return "", err
	}
	if path := filepath.Join(abs, "control.sock"); len(path) <= maxSocketPath {
		return path, nil
	}
	sum := sha256.Sum256([]byte(abs))
	dir := filepath.Join("/tmp", "b8s-"+strconv.Itoa(os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	if info, err := os.Lstat(dir); err != nil || !private(info) {
		return "", fmt.Errorf("control socket: %s is not a folder of this user alone: remove it", dir)
	}
	return filepath.Join(dir, fmt.Sprintf("%x.sock", sum[:8])), nil
}
