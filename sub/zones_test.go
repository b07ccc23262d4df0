package sub

import (
	"strings"
	"testing"

	"b8s/kv"
	"b8s/sub/zone"
)

func textsOf(zones ...string) map[string]zoneText {
	texts := map[string]zoneText{}
	for _, z := range zones {
		apex, body, _ := strings.Cut(z, "=")
		text := "$TTL 60\n@ IN SOA ns1 host 7 2 3 4 5\n@ IN NS ns1.example.\n" + body + "\n"
		texts[apex] = zoneText{digest: kv.Digest([]byte(text)), value: []byte(text)}
	}
	return texts
}

func TestBadZoneLeavesItsLastGoodOneAndAllOthers(t *testing.T) {
	var z zones
	if errs := z.update(textsOf("a.example.=www IN A 192.0.2.1", "b.example.=www IN A 192.0.2.2"), nil); len(errs) != 0 {
		t.Fatal(errs)
	}
	good := z.served["a.example."].zone
	errs := z.update(textsOf("a.example.=www IN A nonsense", "b.example.=www IN A 192.0.2.3", "c.example.=www IN A 192.0.2.4"), nil)
	if len(errs) != 1 || errs["a.example."] == nil {
		t.Errorf("errors %v, want one for a.example.", errs)
	}
	if z.set.Get("a.example.") != good {
		t.Error("the last good zone is not served any more")
	}
	if z.set.Len() != 3 {
		t.Errorf("%d zones served, want 3", z.set.Len())
	}
}

func TestOnlyWhatChangedIsCompiled(t *testing.T) {
	var z zones
	z.update(textsOf("a.example.=www IN A 192.0.2.1", "b.example.=www IN A 192.0.2.2"), nil)
	a, b := z.served["a.example."].zone, z.served["b.example."].zone
	z.update(textsOf("a.example.=www IN A 192.0.2.1", "b.example.=www IN A 192.0.2.9"), nil)
	if z.served["a.example."].zone != a {
		t.Error("a zone that did not change was compiled again")
	}
	if z.served["b.example."].zone == b {
		t.Error("a zone that changed was not compiled")
	}
	z.update(textsOf("b.example.=www IN A 192.0.2.9"), nil)
	if z.set.Get("a.example.") != nil {
		t.Error("a removed zone is still served")
	}
}

func TestHostGoesToTheDeepestZone(t *testing.T) {
	texts := textsOf("example.=", "shop.example.=")
	hosts := []zone.Host{{Name: "www.shop.example."}, {Name: "www.example."}, {Name: "www.elsewhere."}}
	in := hostsByZone(texts, hosts)
	if len(in["shop.example."]) != 1 || len(in["example."]) != 1 || len(in) != 2 {
		t.Errorf("got %v", in)
	}
}
