package dom

import (
	"time"

	"b8s/records"
)

// What the verbs and the daemon say to each other (package control). A verb's
// name is its path on the socket.
const (
	verbPing           = "ping"
	verbAddSub         = "add-sub"
	verbPublishRecords = "publish-records"
	verbPublishGeoLite = "publish-geolite"
	verbUndoRecords    = "undo-records"
	verbHistoryRecords = "history-records"
	verbDelegation     = "delegation"
	verbForce          = "force"
	verbStatus         = "status"
	verbNats           = "nats"
)

// Event is something that happened while a verb works: of one sub, or of the
// whole when Sub is empty. Detail may change while the stage stays.
type Event struct {
	Sub    string `json:"sub,omitempty"`
	Stage  string `json:"stage"`
	Detail string `json:"detail,omitempty"`
}

// AddSubRequest enrols a sub.
type AddSubRequest struct {
	Ticket      string        `json:"ticket"` // as the sub prints it
	Coordinates string        `json:"coordinates"`
	Name        string        `json:"name"`
	Port        uint16        `json:"port"` // the sub's WireGuard port
	NoDNS       bool          `json:"no_dns"`
	Wait        time.Duration `json:"wait"`
}

// AddSubResult is what add-sub found.
type AddSubResult struct {
	Name        string  `json:"name"`
	Coordinates string  `json:"coordinates"`
	Place       string  `json:"place,omitempty"` // for coordinates from GeoLite
	AccuracyKM  int     `json:"accuracy_km,omitempty"`
	Checks      []Check `json:"checks"`
}

// Check is one line of the table that add-sub ends with.
type Check struct {
	What   string `json:"what"`
	Result string `json:"result"`
	OK     bool   `json:"ok"`
}

// PublishRequest publishes the operator's configuration.
type PublishRequest struct {
	Wish   records.Wish  `json:"wish"`
	DryRun bool          `json:"dry_run"`
	Wait   time.Duration `json:"wait"`

	// RemoveZones says that zones which are not in the wish may go. Without it
	// such a wish is refused, with its plan: a line that was lost in b8s.yaml would
	// take a domain off the net.
	RemoveZones bool `json:"remove_zones"`
}

// UndoRequest goes back one revision, of one zone or of the last publish.
type UndoRequest struct {
	Zone string        `json:"zone"`
	Wait time.Duration `json:"wait"`
}

// PublishResult is what a publish changed and who serves it.
type PublishResult struct {
	Plan    records.Plan `json:"plan"`
	Verdict Verdict      `json:"verdict"`
}

// Verdict tells, for each sub, whether it serves what was published.
type Verdict struct {
	OK   bool         `json:"ok"`
	Took Millis       `json:"took_ms"`
	Subs []SubVerdict `json:"subs"`
}

// SubVerdict is one sub's part of a Verdict.
type SubVerdict struct {
	Sub       string    `json:"sub"`
	Confirmed bool      `json:"confirmed"`
	Took      Millis    `json:"took_ms,omitempty"`
	Live      bool      `json:"live"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
	Reason    string    `json:"reason,omitempty"` // why it isn't confirmed
}

// Millis is a length of time that JSON shows in milliseconds.
type Millis float64

func millis(d time.Duration) Millis { return Millis(float64(d.Microseconds()) / 1000) }

// Duration is the length of time.
func (m Millis) Duration() time.Duration {
	return time.Duration(float64(m) * float64(time.Millisecond))
}

// ZoneRequest names a zone by its apex.
type ZoneRequest struct {
	Zone string `json:"zone"`
}

// HistoryEntry is one revision of a zone, newest first.
type HistoryEntry struct {
	Revision uint64    `json:"revision"`
	Time     time.Time `json:"time"`
	Serial   uint32    `json:"serial,omitempty"`
	Records  int       `json:"records"`
	Change   string    `json:"change"`
	Current  bool      `json:"current,omitempty"`
}

// DelegationResult is what the registrar has to be told.
type DelegationResult struct {
	Zone string   `json:"zone"`
	NS   []string `json:"ns"`
	Glue []string `json:"glue"`
}

// GeoLiteRequest publishes a city database: the file that was uploaded, or
// one downloaded with the credentials, or with those kept from before.
type GeoLiteRequest struct {
	Upload      string              `json:"upload,omitempty"`
	Credentials *GeoLiteCredentials `json:"credentials,omitempty"`
	Wait        time.Duration       `json:"wait"`
}

// GeoLiteCredentials are what MaxMind asks for. The dom keeps them (0600) for
// its weekly refresh.
type GeoLiteCredentials struct {
	Account string `json:"account"`
	Key     string `json:"key"`
	URL     string `json:"url,omitempty"` // empty: MaxMind's
}

// GeoLiteResult is the database published and who serves with it.
type GeoLiteResult struct {
	Digest    string    `json:"digest"`
	Type      string    `json:"type"`
	Built     time.Time `json:"built"`
	Size      int64     `json:"size"`
	Unchanged bool      `json:"unchanged"`
	Warnings  []string  `json:"warnings,omitempty"`
	Verdict   Verdict   `json:"verdict"`
}

// ForceRequest raises a bucket's epoch.
type ForceRequest struct {
	Bucket string        `json:"bucket"`
	Wait   time.Duration `json:"wait"`
}

// ForceResult is the bucket's new epoch and who follows it.
type ForceResult struct {
	Bucket  string  `json:"bucket"`
	Epoch   uint64  `json:"epoch"`
	Verdict Verdict `json:"verdict"`
}

// NatsRequest opens the bus to one command.
type NatsRequest struct {
	Writable bool `json:"writable"`
}

// NatsAccess is how that command reaches it, until the verb's call ends.
type NatsAccess struct {
	URL      string `json:"url"`
	User     string `json:"user"`
	Password string `json:"password"`
}
