package geolite

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"b8s/citydb"
	"b8s/state"
)

const (
	maxUnpacked = citydb.MaxSize + 16<<20 // the database and some words beside it
	maxMembers  = 1000
)

// extract replaces out by the one database in a .tar.gz, once it passed the
// check. Names in the archive decide nothing but which member is taken.
func extract(archive, out string, limits citydb.Limits) (info citydb.Info, err error) {
	f, err := os.Open(archive)
	if err != nil {
		return info, err
	}
	defer f.Close()
	unchecked := out + ".unchecked"
	defer os.Remove(unchecked)
	err = state.Replace(unchecked, 0o600, func(w io.Writer) error { return unpack(f, w, maxUnpacked) })
	if err != nil {
		return info, fmt.Errorf("unpack the archive: %w", err)
	}
	if info, err = citydb.Check(unchecked, limits); err != nil {
		return info, err
	}
	// The content is on disk. Should the new name be lost in a crash, the old
	// database is there and its digest tells that it is the old one.
	return info, os.Rename(unchecked, out)
}

// unpack writes the archive's one .mmdb to w. It reads the archive to its end,
// so that gzip's own checksum is verified, and gives up when more than limit
// bytes come out of it.
func unpack(archive io.Reader, w io.Writer, limit int64) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return err
	}
	bounded := &boundedReader{unzipped, limit, limit}
	members := tar.NewReader(bounded)
	found := ""
	for n := 0; ; n++ {
		member, err := members.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if n == maxMembers {
			return fmt.Errorf("more than %d files in it", maxMembers)
		}
		name := path.Base(member.Name)
		if member.Typeflag != tar.TypeReg || !strings.HasSuffix(name, ".mmdb") {
			continue
		}
		if found != "" {
			return fmt.Errorf("two databases in it, %q and %q", found, name)
		}
		found = name
		if _, err := io.Copy(w, members); err != nil {
			return err
		}
	}
	if found == "" {
		return errors.New("no .mmdb file in it")
	}
	_, err = io.Copy(io.Discard, bounded)
	return err
}

// boundedReader fails when more than left bytes come.
type boundedReader struct {
	r           io.Reader
	left, limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("it unpacks to more than %d MiB, which no city database does", b.limit>>20)
	}
	return n, err
}
