package cassandra

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed schema/*.cql
var schemaFiles embed.FS

// files are the migrations of this program, in order. A file that was released
// never changes; what is new goes into a new one, and must not break the program
// before it.
var files = mustMigrations(schemaFiles)

// migration is one numbered file. Of an applied one the statements are not known.
type migration struct {
	number     int
	name       string // of the file
	checksum   string // of its bytes
	text       string
	statements []string
}

func mustMigrations(from fs.FS) []migration {
	list, err := parseMigrations(from)
	if err != nil {
		panic(fmt.Sprintf("storage/cassandra: %v", err))
	}
	return list
}

// parseMigrations reads the files, whose numbers rise by one from 1.
func parseMigrations(from fs.FS) ([]migration, error) {
	names, err := fs.Glob(from, "schema/*.cql")
	if err != nil {
		return nil, err
	}
	var list []migration
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		digits, _, _ := strings.Cut(path.Base(name), "_")
		number, err := strconv.Atoi(digits)
		if err != nil || number != len(list)+1 {
			return nil, fmt.Errorf("%s: the next number is %d", name, len(list)+1)
		}
		sum := sha256.Sum256(text)
		list = append(list, migration{
			number: number, name: path.Base(name), checksum: hex.EncodeToString(sum[:]),
			text: string(text), statements: statements(string(text)),
		})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no migrations")
	}
	return list, nil
}

// statements takes a file apart. It knows comments from -- to the end of a line,
// texts in single quotes, and semicolons; our files have nothing else that
// could hide one.
func statements(text string) []string {
	var list []string
	var one strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\'':
			quoted = !quoted
		case !quoted && strings.HasPrefix(text[i:], "--"):
			end := strings.IndexByte(text[i:], '\n')
			if end < 0 {
				end = len(text) - i
			}
			i += end - 1
			continue
		case !quoted && c == ';':
			list = append(list, strings.TrimSpace(one.String()))
			one.Reset()
			continue
		}
		one.WriteByte(c)
	}
	list = append(list, strings.TrimSpace(one.String()))
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// makeMigrations makes the table that tells what was applied.
const makeMigrations = `CREATE TABLE IF NOT EXISTS schema_migrations (
    number int,
    name text,
    checksum text,
    applied_at timestamp,
    PRIMARY KEY (number)
) WITH comment = 'schema files that were applied'`

// migrations reads what was applied: nothing, when that table is not there.
func migrations(ctx context.Context, s *session) (map[int]migration, error) {
	tables, err := tablesOf(ctx, s)
	if err != nil {
		return nil, err
	}
	done := map[int]migration{}
	if _, ok := tables["schema_migrations"]; !ok {
		return done, nil
	}
	it := s.Query(`SELECT number, name, checksum FROM schema_migrations`).WithContext(ctx).Iter()
	for m := (migration{}); it.Scan(&m.number, &m.name, &m.checksum); {
		done[m.number] = m
	}
	return done, translate(it.Close())
}

// step says what applying it does.
func (m *migration) step() string {
	var tables []string
	for _, statement := range m.statements {
		if rest, ok := strings.CutPrefix(statement, "CREATE TABLE IF NOT EXISTS "); ok {
			name, _, _ := strings.Cut(rest, " ")
			tables = append(tables, name)
		}
	}
	if len(tables) == 0 {
		return fmt.Sprintf("apply %s (columns)", m.name)
	}
	return fmt.Sprintf("apply %s (tables %s)", m.name, strings.Join(tables, ", "))
}

// apply runs a migration and remembers it. Its statements may have been run
// before, in part or in full.
func (m *migration) apply(ctx context.Context, s *session) error {
	for _, statement := range m.statements {
		if err := alter(ctx, s, statement); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	err := insist(ctx, nil, func() error {
		return s.Query(`INSERT INTO schema_migrations (number, name, checksum, applied_at) VALUES (?, ?, ?, ?)`,
			m.number, m.name, m.checksum, time.Now()).WithContext(ctx).Exec()
	})
	if err != nil {
		return fmt.Errorf("remember %s: %w", m.name, translate(err))
	}
	return nil
}

// alter changes the schema and waits until all nodes know. The statement may be
// one that was run before.
func alter(ctx context.Context, s *session, statement string) error {
	err := insist(ctx, nil, func() error { return s.Query(statement).WithContext(ctx).Exec() })
	if err != nil {
		return translate(err)
	}
	if err := s.AwaitSchemaAgreement(ctx); err != nil {
		return fmt.Errorf("the nodes do not agree on the schema: %w", translate(err))
	}
	return nil
}
