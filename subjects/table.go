package subjects

// The buckets.
const (
	Records    = "records"    // zone apex: the zone
	Hosts      = "hosts"      // site name: host names, subs, TTL
	Certs      = "certs"      // certificate name: chain, sealed key
	Sites      = "sites"      // site name: image, limits, roll-out
	Subs       = "subs"       // sub name: addresses, place, roles
	Challenges = "challenges" // owner name: TXT values of running orders
	GeoLite    = "geolite"    // CityKey: which object is the current database
	StatusKV   = "status"     // sub name: what it serves, put by the dom
)

// CityKey is the one key of bucket geolite.
const CityKey = "city"

// The object kinds. An object's name is its SHA-256 in hex.
const (
	ObjectGeoLite = "geolite"
	ObjectImages  = "images"
	ObjectZones   = "zones"
)

// Bucket is how one bucket is kept.
type Bucket struct {
	Name    string
	History int  // revisions kept of each key, the newest included
	Memory  bool // not kept over a restart
	Share   int  // of the store's space, in thousandths
	ByName  bool // keys are DNS names by Key, else names by ValidName
	Used    bool // put and read by this version
}

// Buckets is every bucket. A deleted key stays as a marker in all of them:
// none has a time to live, and none is ever purged, since neither purge nor
// expiry is told to those who watch.
func Buckets() []Bucket {
	return []Bucket{
		{Name: Records, History: 64, Share: 250, ByName: true, Used: true},
		{Name: Hosts, History: 8, Share: 15, Used: true},
		{Name: Certs, History: 4, Share: 30},
		{Name: Sites, History: 16, Share: 15},
		{Name: Subs, History: 8, Share: 15, Used: true},
		{Name: Challenges, History: 2, Share: 15, ByName: true},
		{Name: GeoLite, History: 8, Share: 5, Used: true},
		{Name: StatusKV, History: 1, Memory: true, Used: true},
	}
}

// Kind is how one kind of object is kept.
type Kind struct {
	Name  string
	Share int  // of the store's space, in thousandths
	Used  bool // by this version
}

// Kinds is every kind of object. Each has its own share of the store, so
// that large ones can't block records.
func Kinds() []Kind {
	return []Kind{
		{Name: ObjectGeoLite, Share: 150, Used: true},
		{Name: ObjectZones, Share: 150, Used: true},
		{Name: ObjectImages, Share: 300},
	}
}

// LookupBucket returns the bucket of that name.
func LookupBucket(name string) (Bucket, bool) {
	for _, b := range Buckets() {
		if b.Name == name {
			return b, true
		}
	}
	return Bucket{}, false
}

// Import is one subject of the dom's account that a sub's account has.
type Import struct {
	Subject string
	// Service: the sub may send a request there, and gets the replies,
	// under a reply subject that the server makes. Else the sub receives
	// what the dom's account publishes there, and can't publish to it.
	Service bool
}

// SubReads lists the buckets that a sub reads: all but status, which tells
// about the other subs.
func SubReads() []string {
	return []string{Records, Hosts, Certs, Sites, Subs, Challenges, GeoLite}
}

// SubImports is the whole of what sub may touch: it reads the buckets of
// SubReads and the objects, hears their live changes, and says its own
// status. It has no way to a consumer, nor to a subject that a stream
// stores.
func SubImports(sub string) []Import {
	var in []Import
	for _, b := range SubReads() {
		in = append(in,
			Import{DirectGet(Stream(b)), true},
			Import{StreamInfo(Stream(b)), true},
			Import{LiveAll(b), false})
	}
	for _, k := range Kinds() {
		in = append(in, Import{DirectGet(ObjectStream(k.Name)), true})
	}
	return append(in, Import{Status(sub), true})
}

// SubAnswers is what the dom's account may ask of a sub's.
func SubAnswers(sub string) string { return CommandAll(sub) }
