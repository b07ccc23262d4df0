package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

const maxSiteTTL = 86400 // seconds

func (f *File) readSites(d *decoder, n ast.Node) {
	owner := map[string]string{} // of each host
	d.mapping(n, "sites", func(key string, at, value ast.Node) {
		if err := ValidName(key); err != nil {
			d.fail(at, "site: %s", err)
			return
		}
		s := Site{Name: key, TTL: DefaultTTL, At: d.where(at)}
		errs := len(d.errs)
		d.object(value, "site "+key, fields{
			"hosts":   func(n ast.Node) { s.Hosts = d.hosts(n, key, owner) },
			"subs":    func(n ast.Node) { s.Subs = d.subs(n, key) },
			"ttl":     func(n ast.Node) { s.TTL = uint32(d.integer(n, "ttl of site "+key, 1, maxSiteTTL)) },
			"default": func(n ast.Node) { s.Default, _ = d.name(n, "default of site "+key) },
		})
		if len(s.Hosts) == 0 && errs == len(d.errs) {
			d.fail(at, "site %s has no hosts: name them, as hosts: [www.example.com]", key)
		}
		f.Sites = append(f.Sites, s)
	})
}

func (d *decoder) hosts(n ast.Node, site string, owner map[string]string) []Host {
	var list []Host
	d.list(n, "hosts of site "+site, func(n ast.Node) {
		text, ok := d.text(n, "a host of site "+site)
		if !ok {
			return
		}
		host, err := HostName(text)
		if err != nil {
			d.fail(n, "host: %s", err)
			return
		}
		if other, taken := owner[host]; taken {
			d.fail(n, "host %s stands here a second time, it belongs to site %s", host, other)
			return
		}
		owner[host] = site
		list = append(list, Host{host, d.where(n)})
	})
	return list
}

func (d *decoder) subs(n ast.Node, site string) []string {
	var list []string
	seen := map[string]bool{}
	d.list(n, "subs of site "+site, func(n ast.Node) {
		sub, ok := d.name(n, "a sub of site "+site)
		if ok && seen[sub] {
			d.fail(n, "sub %s stands here a second time", sub)
			return
		}
		if ok {
			seen[sub] = true
			list = append(list, sub)
		}
	})
	return list
}

func (d *decoder) url(n ast.Node, what string) string {
	text, ok := d.text(n, what)
	if !ok {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		d.fail(n, "%s: want http:// or https:// and a host", what)
	case u.User != nil:
		d.fail(n, "%s holds a password: name the key by key_file", what)
	}
	return text
}

var edition = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

func (d *decoder) edition(n ast.Node) string {
	text, ok := d.text(n, "edition")
	if ok && !edition.MatchString(text) {
		d.fail(n, "edition %q: want a name as GeoLite2-City", text)
	}
	if ok && !strings.Contains(text, "City") {
		d.fail(n, "edition %q has no cities: want one as GeoLite2-City", text)
	}
	return text
}
