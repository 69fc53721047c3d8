package cassandra

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Difference is one thing in the schema that is not as it should be.
type Difference struct {
	What string `json:"what"` // keyspace, migration or option of a table
	Have string `json:"have"` // what is there; empty for nothing
	Want string `json:"want"`
	Cure string `json:"cure"`
}

const (
	cureApply   = "clickagg schema apply"
	cureVersion = "use the version of clickagg that applied it, or drop the keyspace and have it filled again"
	cureNewer   = "use that version of clickagg, or a later one"
)

// Apply makes the keyspace if there is none, applies the migrations it lacks, and
// gives the tables their times to live. It calls say with each step before it
// is taken. What is there already is left as it is, so that it may be repeated, and
// two may run at once: one waits. Replication is never changed: that needs a
// repair of all nodes, which is the operator's.
func Apply(ctx context.Context, o Options, say func(step string)) error {
	o = o.withDefaults()
	list, err := parseReplication(o.Replication)
	if err != nil {
		return err
	}
	if err := createKeyspace(ctx, o, list, say); err != nil {
		return fmt.Errorf("keyspace %s: %w", o.Keyspace, err)
	}
	s, err := dial(ctx, o, o.Keyspace)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := alter(ctx, s, makeLock(o.Keyspace)); err != nil {
		return fmt.Errorf("table schema_lock: %w", err)
	}
	l, err := takeLock(ctx, s, o.Logger)
	if err != nil {
		return fmt.Errorf("lock the schema: %w", err)
	}
	defer l.release(ctx)
	return migrate(ctx, s, l, o, say)
}

// createKeyspace makes the keyspace, unless it is there.
func createKeyspace(ctx context.Context, o Options, list []replicas, say func(string)) error {
	s, err := dial(ctx, o, "")
	if err != nil {
		return err
	}
	defer s.Close()
	have, err := replicationOf(ctx, s, o.Keyspace)
	if err != nil || have != nil {
		return err
	}
	nodes, _, err := datacenters(ctx, s.Session)
	if err != nil {
		return translate(err)
	}
	for _, r := range list {
		if nodes[r.dc] == 0 {
			return fmt.Errorf("replication %s:%d: no node is in data centre %s; there are %s", r.dc, r.n, r.dc, names(nodes))
		}
		if quorum := r.n/2 + 1; nodes[r.dc] < quorum {
			return fmt.Errorf("replication %s:%d: of %d replicas %d must answer, but data centre %s has %d nodes",
				r.dc, r.n, r.n, quorum, r.dc, nodes[r.dc])
		}
	}
	statement := makeKeyspace(o.Keyspace, list)
	say(statement)
	return alter(ctx, s, statement)
}

// migrate applies what is missing, under the lock.
func migrate(ctx context.Context, s *session, l *lock, o Options, say func(string)) error {
	if err := alter(ctx, s, makeMigrations); err != nil {
		return fmt.Errorf("table schema_migrations: %w", err)
	}
	done, err := migrations(ctx, s)
	if err != nil {
		return err
	}
	todo, err := missing(done)
	if err != nil {
		return err
	}
	for _, m := range todo {
		say(m.step())
		if err := l.keep(ctx); err != nil {
			return err
		}
		if err := m.apply(ctx, s); err != nil {
			return err
		}
	}
	tables, err := tablesOf(ctx, s)
	if err != nil {
		return err
	}
	for _, k := range mistimed(o.kept(), tables) {
		if _, ok := tables[k.name]; !ok {
			continue // it was dropped; Check says so
		}
		say(k.live())
		if err := l.keep(ctx); err != nil {
			return err
		}
		if err := alter(ctx, s, k.live()); err != nil {
			return fmt.Errorf("table %s: %w", k.name, err)
		}
	}
	return nil
}

// Plan lists the steps [Apply] would take now.
func Plan(ctx context.Context, o Options) (steps []string, err error) {
	o = o.withDefaults()
	list, err := parseReplication(o.Replication)
	if err != nil {
		return nil, err
	}
	there, err := inspect(ctx, o)
	if err != nil {
		return nil, err
	}
	if there.replication == nil {
		steps = append(steps, makeKeyspace(o.Keyspace, list))
	}
	todo, err := missing(there.done)
	if err != nil {
		return nil, err
	}
	for _, m := range todo {
		steps = append(steps, m.step())
	}
	for _, k := range mistimed(o.kept(), there.tables) {
		steps = append(steps, k.live())
	}
	return steps, nil
}

// schema is what is there.
type schema struct {
	replication map[string]string // nil when there is no keyspace
	done        map[int]migration
	tables      map[string]table
}

func inspect(ctx context.Context, o Options) (*schema, error) {
	s, err := dial(ctx, o, "")
	if err != nil {
		return nil, err
	}
	var there schema
	there.replication, err = replicationOf(ctx, s, o.Keyspace)
	s.Close()
	if err != nil || there.replication == nil {
		return &there, err
	}
	if s, err = dial(ctx, o, o.Keyspace); err != nil {
		return nil, err
	}
	defer s.Close()
	if there.done, err = migrations(ctx, s); err != nil {
		return nil, err
	}
	there.tables, err = tablesOf(ctx, s)
	return &there, err
}

// missing lists the migrations that were not applied.
func missing(done map[int]migration) (todo []*migration, err error) {
	for i := range files {
		m := &files[i]
		switch have, ok := done[m.number]; {
		case !ok:
			todo = append(todo, m)
		case have.checksum != m.checksum:
			return nil, fmt.Errorf("migration %d was applied as %s with another content: %s", m.number, have.name, cureVersion)
		}
	}
	return todo, nil
}

// mistimed lists the tables whose rows do not live as long as they should.
func mistimed(list []kept, tables map[string]table) (found []kept) {
	for _, k := range list {
		if tables[k.name].ttl != k.seconds() {
			found = append(found, k)
		}
	}
	return found
}

// Print writes the CQL that [Apply] runs on an empty cluster, for those who let
// other tools run it.
func Print(w io.Writer, o Options) error {
	o = o.withDefaults()
	list, err := parseReplication(o.Replication)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s;\nUSE %s;\n\n%s;\n\n%s;\n", makeKeyspace(o.Keyspace, list), o.Keyspace, makeLock(o.Keyspace), makeMigrations)
	for _, m := range files {
		if err == nil {
			_, err = fmt.Fprintf(w, "\n-- %s\n\n%s\nINSERT INTO schema_migrations (number, name, checksum, applied_at)\n"+
				"    VALUES (%d, '%s', '%s', toTimestamp(now()));\n", m.name, m.text, m.number, m.name, m.checksum)
		}
	}
	if err == nil {
		_, err = fmt.Fprint(w, "\n-- Times to live.\n\n")
	}
	for _, k := range o.kept() {
		if k.ttl != 0 && err == nil {
			_, err = fmt.Fprintf(w, "%s;\n", k.live())
		}
	}
	return err
}

// Check says what is not as it should be, in an order in which it can be
// mended; nothing when all is well. It changes nothing.
func Check(ctx context.Context, o Options) ([]Difference, error) {
	o = o.withDefaults()
	list, err := parseReplication(o.Replication)
	if err != nil {
		return nil, err
	}
	there, err := inspect(ctx, o)
	if err != nil {
		return nil, err
	}
	want := wantReplication(list)
	if there.replication == nil {
		return []Difference{{What: "keyspace " + o.Keyspace, Want: want, Cure: cureApply}}, nil
	}
	var found []Difference
	if have := sayReplication(there.replication); have != want {
		found = append(found, Difference{
			What: "replication of keyspace " + o.Keyspace, Have: have, Want: want,
			Cure: "ALTER KEYSPACE, then nodetool repair --full on every node; or cassandra.replication in the configuration",
		})
	}
	found = append(found, compareMigrations(files, there.done)...)
	return append(found, compareTables(o.kept(), there.tables, len(there.done) >= len(files))...), nil
}

func compareMigrations(files []migration, done map[int]migration) (found []Difference) {
	for _, m := range files {
		d := Difference{What: fmt.Sprintf("migration %d", m.number), Want: m.name}
		switch have, ok := done[m.number]; {
		case !ok:
			d.Cure = cureApply
		case have.checksum != m.checksum:
			d.Have, d.Want, d.Cure = have.name+" "+have.checksum, m.name+" "+m.checksum, cureVersion
		default:
			continue
		}
		found = append(found, d)
	}
	for n := len(files) + 1; done[n].number == n; n++ {
		found = append(found, Difference{What: fmt.Sprintf("migration %d", n), Have: done[n].name, Cure: cureNewer})
	}
	return found
}

// compareTables looks at tables and their options. Before all migrations were
// applied a table may rightly be missing.
func compareTables(list []kept, tables map[string]table, applied bool) (found []Difference) {
	for _, k := range list {
		have, ok := tables[k.name]
		if !ok {
			if applied {
				found = append(found, Difference{
					What: "table " + k.name, Want: "the table of the migrations",
					Cure: "it was dropped: restore it, or drop the keyspace and have it filled again",
				})
			}
			continue
		}
		if have.ttl != k.seconds() {
			found = append(found, Difference{
				What: "default_time_to_live of table " + k.name, Have: lifetime(have.ttl), Want: lifetime(k.seconds()), Cure: cureApply,
			})
		}
		if class := short(have.compaction["class"]); k.windows && class != timeWindows {
			found = append(found, Difference{
				What: "compaction of table " + k.name, Have: class, Want: timeWindows,
				Cure: "ALTER TABLE, with a window of a thirtieth of the time to live or so",
			})
		}
	}
	return found
}

func lifetime(seconds int) string {
	if seconds == 0 {
		return "for ever"
	}
	return (time.Duration(seconds) * time.Second).String()
}
