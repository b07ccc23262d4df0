package dom

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"b8s/place"
	"b8s/tunnel"
)

func TestFleetIsOnDiskBeforeItIsSeen(t *testing.T) {
	dir := testDir(t)
	f, err := openFleet(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := member{
		Name: "sydney", Key: tunnel.NewPrivateKey().Public(), IPv4: netip.MustParseAddr("198.51.100.7"),
		Port: 51820, Coordinates: place.Point{Lat: -33.87, Lon: 151.21}, DNS: true,
	}
	if err := f.Save(m); err != nil {
		t.Fatal(err)
	}
	again, err := openFleet(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := again.ByKey(m.Key)
	if !ok || !reflect.DeepEqual(got, m) {
		t.Errorf("after a restart: %+v, want %+v", got, m)
	}
	if n := len(again.Enrolled()); n != 0 {
		t.Errorf("%d enrolled, want 0: add-sub was not finished", n)
	}
	m.Enrolled = time.Unix(1, 0).UTC()
	if err := again.Save(m); err != nil {
		t.Fatal(err)
	}
	if n := len(again.Enrolled()); n != 1 {
		t.Errorf("%d enrolled, want 1", n)
	}
}
