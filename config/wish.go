package config

import (
	"errors"

	"b8s/records"
	"b8s/zonefile"
)

// Wish reads the zone files and gives all of the file as what is to be
// published: contents, no paths. What is wrong in the zone files is joined;
// the zones that are good are in the wish nevertheless.
func (f *File) Wish() (records.Wish, error) {
	var wish records.Wish
	var wrong []error
	for _, z := range f.Zones {
		zone, err := zonefile.Options{WithoutNS: true}.Read(z.Apex, z.Path)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		wish.Zones = append(wish.Zones, zone)
	}
	for _, n := range f.Nameservers {
		wish.Nameservers = append(wish.Nameservers, records.Nameserver{Name: n.Name, Sub: n.Sub, At: n.At})
	}
	for _, s := range f.Sites {
		site := records.Site{Name: s.Name, Subs: s.Subs, TTL: s.TTL, Default: s.Default, At: s.At}
		for _, h := range s.Hosts {
			site.Hosts = append(site.Hosts, records.Host{Name: h.Name, At: h.At})
		}
		wish.Sites = append(wish.Sites, site)
	}
	return wish, errors.Join(wrong...)
}
