package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"b8s/citydb"
	"b8s/dom"
	"b8s/kv"
	"b8s/subjects"
)

// onBus calls act with a connection to the dom's bus that may write, as
// "b8s dom nats --writable" gives it.
func (w *world) onBus(act func(context.Context, *nats.Conn) error) error {
	return w.dom("").domClient().Nats(w.ctx, dom.NatsRequest{Writable: true}, func(a dom.NatsAccess) error {
		nc, err := nats.Connect(a.URL, nats.UserInfo(a.User, a.Password), nats.NoReconnect())
		if err != nil {
			return err
		}
		defer nc.Close()
		return act(w.ctx, nc)
	})
}

// loseLive loses every live message of a bucket from now on, the last one
// too: the stream repeats nothing. "lose-live BUCKET".
func (w *world) loseLive(c call) (string, error) {
	stream := subjects.Stream(c.arg(0))
	return "", w.onBus(func(ctx context.Context, nc *nats.Conn) error {
		live, err := setLive(ctx, nc, stream, nil)
		if err != nil {
			return err
		}
		w.live[c.arg(0)] = func() error {
			return w.onBus(func(ctx context.Context, nc *nats.Conn) error {
				_, err := setLive(ctx, nc, stream, live)
				return err
			})
		}
		return nil
	})
}

// keepLive ends that: "keep-live BUCKET".
func (w *world) keepLive(c call) (string, error) {
	keep := w.live[c.arg(0)]
	if keep == nil {
		return "", errors.New("no live message of it was lost")
	}
	return "", keep()
}

func setLive(ctx context.Context, nc *nats.Conn, stream string, to *jetstream.RePublish) (was *jetstream.RePublish, err error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	config := s.CachedInfo().Config
	was, config.RePublish = config.RePublish, to
	_, err = js.UpdateStream(ctx, config)
	return was, err
}

// poison puts its input under a key as nobody in b8s would: "poison BUCKET
// KEY [by-hand] <<". By hand it has none of the headers that a value has, else
// all of them, as if the dom's checks had failed.
func (w *world) poison(c call) (string, error) {
	m := nats.NewMsg(subjects.Stored(c.arg(0), c.arg(1)))
	m.Data = []byte(c.input)
	return "", w.onBus(func(ctx context.Context, nc *nats.Conn) error {
		js, err := jetstream.New(nc)
		if err != nil {
			return err
		}
		if !c.has("by-hand") {
			s, err := js.Stream(ctx, subjects.Stream(c.arg(0)))
			if err != nil {
				return err
			}
			m.Header.Set("B8s-Epoch", s.CachedInfo().Config.Metadata["b8s-epoch"])
			m.Header.Set("B8s-Digest", kv.Digest(m.Data))
			m.Header.Set("B8s-Schema", strconv.Itoa(1))
			m.Header.Set("B8s-Key", c.arg(1))
		}
		_, err = js.PublishMsg(ctx, m)
		return err
	})
}

// geolitePut has a file of the site folder published as the city database
// without the dom's checks: "geolite-put NAME".
func (w *world) geolitePut(c call) (string, error) {
	path := filepath.Join(w.site, c.arg(0))
	return "", w.onBus(func(ctx context.Context, nc *nats.Conn) error {
		store, err := kv.NewStore(ctx, nc, kv.StoreOptions{})
		if err != nil {
			return err
		}
		defer store.Close()
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		object, err := store.PutObject(ctx, subjects.ObjectGeoLite, f)
		if err != nil {
			return err
		}
		value, err := kv.Encode(kv.City{Digest: object.Digest, Size: object.Size, Built: object.Created, Type: "GeoLite2-City"})
		if err != nil {
			return err
		}
		_, err = store.Put(ctx, subjects.GeoLite, subjects.CityKey, value)
		return err
	})
}

// databases names the city databases of the site folder by their digests.
func (w *world) databases() map[string]string {
	names := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(w.site, "*.mmdb"))
	for _, path := range files {
		if info, err := citydb.Check(path, citydb.Limits{}); err == nil {
			names[info.Digest] = strings.TrimSuffix(filepath.Base(path), ".mmdb")
		}
	}
	return names
}

// databaseName is a city database as the script calls it.
func (w *world) databaseName(digest string) string {
	if digest == "" {
		return "none"
	}
	if name, ok := w.databases()[digest]; ok {
		return name
	}
	return fmt.Sprintf("%.12s…", digest)
}
