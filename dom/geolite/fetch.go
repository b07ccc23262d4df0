package geolite

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

var (
	errNotModified = errors.New("not modified")
	errWrongSum    = errors.New("the archive doesn't match its checksum")
)

// sumLine is what sha256sum prints.
var sumLine = regexp.MustCompile(`^([0-9a-fA-F]{64})(\s|$)`)

// fetchSum asks for the SHA-256 of the archive, in lower-case hex.
func (d *download) fetchSum(ctx context.Context) (sum string, err error) {
	err = d.retry(ctx, func() (progress bool, err error) {
		ctx, cancel := context.WithTimeoutCause(ctx, d.Stall, errStalled)
		defer cancel()
		resp, err := d.get(ctx, d.sumURL, nil)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return false, newHTTPError(resp, time.Now())
		}
		b, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
		if err != nil {
			return false, err
		}
		m := sumLine.FindStringSubmatch(strings.TrimSpace(string(b)))
		if m == nil {
			return false, final{errors.New("the server sent something else" + looksLike(b) + "; check the URL, and whether a proxy or portal is in between")}
		}
		sum = strings.ToLower(m[1])
		return true, nil
	})
	return sum, err
}

// looksLike tells a web page, the usual wrong thing.
func looksLike(b []byte) string {
	if strings.HasPrefix(http.DetectContentType(b), "text/html") {
		return ", a web page"
	}
	return ""
}

// fetchArchive completes the archive with the given sum in the part file,
// going on where an earlier attempt or call stopped. It returns
// errNotModified if the server says so of the database in have.
func (d *download) fetchArchive(ctx context.Context, sum string, have meta) (meta, error) {
	part, err := d.openPart(sum)
	if err != nil {
		return meta{}, err
	}
	defer part.file.Close()
	err = d.retry(ctx, func() (bool, error) { return part.fetch(ctx, have) })
	if err != nil {
		return meta{}, err
	}
	return part.meta, part.verify()
}

// part is an archive on its way.
type part struct {
	*download
	file *os.File
	meta meta
	size int64
}

func (d *download) openPart(sum string) (*part, error) {
	f, err := os.OpenFile(d.file(partName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	p := &part{download: d, file: f}
	m, err := readMeta(d.file(partMetaName))
	if err != nil || m.Sum != sum || m.Source != d.source {
		// Of another release or nothing that is known: from the start.
		p.meta = meta{Source: d.source, Sum: sum}
		return p, p.restart()
	}
	p.meta = m
	if p.size, err = f.Seek(0, io.SeekEnd); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

// restart empties the part, and notes what it is going to be a part of.
func (p *part) restart() error {
	p.size = 0
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return writeMeta(p.download.file(partMetaName), p.meta)
}

// fetch makes one request for what is missing, and tells whether it brought
// anything.
func (p *part) fetch(ctx context.Context, have meta) (progress bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(p.Stall, func() { cancel(errStalled) })
	defer stall.Stop()
	resp, err := p.get(ctx, p.url, p.conditions(have))
	if err != nil {
		return false, because(ctx, err)
	}
	defer resp.Body.Close()
	total, err := p.accept(resp)
	if err != nil {
		return false, err
	}
	before := p.size
	err = p.receive(resp.Body, total, func() { stall.Reset(p.Stall) })
	return p.size > before, because(ctx, err)
}

// conditions asks for the rest of a part, if it is still of the same archive,
// or else for the archive if it is newer than the database here.
func (p *part) conditions(have meta) http.Header {
	h := http.Header{}
	if p.size == 0 {
		if have.LastModified != "" {
			h.Set("If-Modified-Since", have.LastModified)
		}
		return h
	}
	h.Set("Range", fmt.Sprintf("bytes=%d-", p.size))
	if p.meta.ETag != "" && !strings.HasPrefix(p.meta.ETag, "W/") {
		h.Set("If-Range", p.meta.ETag)
	} else if p.meta.LastModified != "" {
		h.Set("If-Range", p.meta.LastModified)
	}
	return h
}

// accept looks at an answer's head and makes the part fit its body. It returns
// the size of the whole archive, 0 if not told.
func (p *part) accept(r *http.Response) (total int64, err error) {
	switch r.StatusCode {
	case http.StatusOK:
		p.meta.ETag, p.meta.LastModified = r.Header.Get("ETag"), r.Header.Get("Last-Modified")
		if strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
			return 0, final{errors.New("the server sent a web page, not an archive; check the URL, and whether a proxy or portal is in between")}
		}
		if err := p.restart(); err != nil {
			return 0, final{err}
		}
		total = max(r.ContentLength, 0)
	case http.StatusPartialContent:
		var start, end int64
		n, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &start, &end, &total)
		if n < 2 || start != p.size {
			return 0, errors.Join(fmt.Errorf("the server sent another part than was asked for: %q", r.Header.Get("Content-Range")), err, p.restart())
		}
	case http.StatusRequestedRangeNotSatisfiable:
		if r.Header.Get("Content-Range") == fmt.Sprintf("bytes */%d", p.size) {
			return p.size, nil // all of it is here
		}
		return 0, errors.Join(errors.New("the server has less than is already here"), p.restart())
	case http.StatusNotModified:
		return 0, final{errNotModified}
	default:
		return 0, newHTTPError(r, time.Now())
	}
	if total > p.MaxBytes {
		return 0, p.tooLarge()
	}
	return total, nil
}

func (p *part) tooLarge() error {
	return final{errors.Join(fmt.Errorf("the archive has more than the limit of %d MiB", p.MaxBytes>>20), p.restart())}
}

// receive appends body to the part, calling alive at each read.
func (p *part) receive(body io.Reader, total int64, alive func()) error {
	if total > 0 && p.size == total {
		return nil
	}
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		alive()
		if p.size+int64(n) > p.MaxBytes {
			return p.tooLarge()
		}
		if _, err := p.file.Write(buf[:n]); err != nil {
			return final{err}
		}
		p.size += int64(n)
		p.Progress(p.size, total)
		switch {
		case err == io.EOF && total > 0 && p.size < total:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// verify holds the part against the checksum, and drops it if it is wrong.
func (p *part) verify() error {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := sha256.New()
	head := make([]byte, 512)
	n, _ := io.ReadFull(io.TeeReader(p.file, h), head)
	if _, err := io.Copy(h, p.file); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != p.meta.Sum {
		p.dropPart()
		return fmt.Errorf("%w: %d bytes%s with SHA-256 %s, want %s", errWrongSum, p.size, looksLike(head[:n]), got, p.meta.Sum)
	}
	return nil
}
