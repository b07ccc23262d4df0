package geo

import (
	"context"
	"fmt"

	"b8s/citydb"
)

// Build computes the table of a database for a list of candidates: about
// 0.4 s of one CPU for a database of three million networks, and some six
// times the table's memory on the way, which debug.FreeOSMemory gives back.
// Errors are those of the list (ErrNoCandidates, more than MaxCandidates,
// coordinates out of range) and of a broken database.
func Build(db *citydb.DB, candidates []Candidate) (*Table, error) {
	return BuildContext(context.Background(), db, candidates)
}

// BuildContext is Build, which ends within milliseconds when ctx does, with
// its error.
func BuildContext(ctx context.Context, db *citydb.DB, candidates []Candidate) (*Table, error) {
	if err := validate(candidates); err != nil {
		return nil, fmt.Errorf("build geo table: %w", err)
	}
	b := &builder{
		ctx:      ctx,
		table:    new(Table),
		rank:     newRanker(candidates),
		outcomes: map[outcome]uint16{},
		records:  map[citydb.Record]uint16{},
	}
	if err := db.Networks(b.build); err != nil {
		return nil, fmt.Errorf("build geo table: %w", err)
	}
	return b.table, nil
}

type builder struct {
	ctx      context.Context
	networks citydb.Networks
	table    *Table
	rank     *ranker
	outcomes map[outcome]uint16       // interned
	records  map[citydb.Record]uint16 // each distinct record's outcome
	visited  int
}

func (b *builder) build(networks citydb.Networks) error {
	b.networks = networks
	none, err := b.intern(notFound)
	if err != nil {
		return err
	}
	b.records[citydb.None] = none
	if err := networks.Walk4(b.visit4); err != nil {
		return err
	}
	b.index4()
	return networks.Walk6(b.visit6)
}

// visit4 adds a range where the outcome changes.
func (b *builder) visit4(start uint32, r citydb.Record) error {
	id, err := b.outcomeOf(r)
	if err != nil {
		return err
	}
	t := b.table
	if n := len(t.outcome4); n > 0 && le.Uint16(t.outcome4[n-2:]) == id {
		return nil
	}
	t.start4 = le.AppendUint32(t.start4, start)
	t.outcome4 = le.AppendUint16(t.outcome4, id)
	return nil
}

func (b *builder) visit6(hi, lo uint64, bits uint8, r citydb.Record) error {
	id, err := b.outcomeOf6(bits, r)
	if err != nil {
		return err
	}
	t := b.table
	if n := len(t.outcome6); n > 0 && le.Uint16(t.outcome6[n-2:]) == id {
		return nil
	}
	if lo != 0 {
		t.longAt = le.AppendUint32(t.longAt, uint32(len(t.start6)/8))
		t.longLow = le.AppendUint64(t.longLow, lo)
	}
	t.start6 = le.AppendUint64(t.start6, hi)
	t.outcome6 = le.AppendUint16(t.outcome6, id)
	return nil
}

// outcomeOf6 also knows the networks that stand for IPv4 addresses. If all of
// IPv4 has one outcome they have it too, and are merged with their neighbours;
// else no prefix wider than theirs has one outcome, and so the scope found
// among the IPv4 ranges is the widest.
func (b *builder) outcomeOf6(bits uint8, r citydb.Record) (uint16, error) {
	if r != citydb.IPv4 {
		return b.outcomeOf(r)
	}
	if len(b.table.outcome4) == 2 {
		return le.Uint16(b.table.outcome4), nil
	}
	return b.intern(outcome{order: [3]uint8{bits}, kind: alias})
}

func (b *builder) outcomeOf(r citydb.Record) (uint16, error) {
	if b.visited++; b.visited&0xffff == 0 && b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	if id, ok := b.records[r]; ok {
		return id, nil
	}
	p, ok, err := b.networks.Coordinates(r)
	if err != nil {
		return 0, err
	}
	o := notFound
	if ok {
		o = outcome{order: b.rank.nearest(p), kind: found}
	}
	id, err := b.intern(o)
	b.records[r] = id
	return id, err
}

// fewThirds is the number of distinct outcomes from which on the third choice
// is left out. 250 candidates on a sphere have some thousand orderings of
// three, and never more than 1,500 of two, so that numbers of 16 bits suffice
// even for candidates arranged to defeat them.
const fewThirds = 60_000

func (b *builder) intern(o outcome) (uint16, error) {
	if id, ok := b.outcomes[o]; ok {
		return id, nil
	}
	n := len(b.outcomes)
	if n >= fewThirds && o.kind == found && o.order[2] != None {
		o.order[2] = None
		return b.intern(o)
	}
	if n > 0xffff {
		return 0, fmt.Errorf("more than %d distinct orderings of the candidates", n)
	}
	b.outcomes[o] = uint16(n)
	b.table.outcomes = append(b.table.outcomes, o.order[0], o.order[1], o.order[2], o.kind)
	return uint16(n), nil
}

// index4 counts, for each /16, the ranges that start before it.
func (b *builder) index4() {
	t := b.table
	n := len(t.start4) / 4
	t.index4 = make([]byte, 0, indexSize)
	at := 0
	for h := range 1 << 16 {
		for at < n && u32(t.start4, at) < uint32(h)<<16 {
			at++
		}
		t.index4 = le.AppendUint32(t.index4, uint32(at))
	}
	t.index4 = le.AppendUint32(t.index4, uint32(n))
}

const indexSize = 4 * (1<<16 + 1)
