package host

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/parlance-im/parlance/store"
	"github.com/parlance-im/parlance/store/storetest"
	"github.com/parlance-im/parlance/xmpp/jid"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var (
	a  = jid.MustParse("a.test")
	b  = jid.MustParse("b.test")
	at = time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC)
)

func open(t *testing.T, db *store.DB) *Store {
	t.Helper()
	if err := db.Migrate(t.Context(), []store.Migrations{Migrations()}); err != nil {
		t.Fatal(err)
	}
	return New(db)
}

// wants compares hosts and settings with what another look at the data set finds.
func (s *Store) wants(t *testing.T, hosts []Host, settings map[string]Settings) {
	t.Helper()
	list, set, err := s.List(t.Context())
	if err != nil || len(list) != len(hosts) || !maps.EqualFunc(set, settings, maps.Equal[Settings, Settings]) {
		t.Fatalf("%v %v %v, want %v %v", list, set, err, hosts, settings)
	}
	for i := range hosts {
		if list[i] != hosts[i] {
			t.Errorf("%+v, want %+v", list[i], hosts[i])
		}
	}
}

func TestStore_hostsComeAndGo(t *testing.T) {
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		s := open(t, db)
		s.wants(t, nil, nil)
		if err := errors.Join(s.Add(t.Context(), b, Settings{"rooms.create": "false"}, at), s.Add(t.Context(), a, nil, at)); err != nil {
			t.Fatal(err)
		}
		s.wants(t, []Host{{a, false, at}, {b, false, at}}, map[string]Settings{"b.test": {"rooms.create": "false"}})
		// A second one changes nothing, its settings neither.
		if err := s.Add(t.Context(), b, Settings{"name": "x"}, at.Add(time.Hour)); !errors.Is(err, ErrExists) {
			t.Errorf("%v", err)
		}
		if err := s.Disable(t.Context(), a, true); err != nil {
			t.Error(err)
		}
		// The first host has settings without being a row.
		home := jid.MustParse("home.test")
		err := errors.Join(s.Set(t.Context(), b, Change{Set: Settings{"name": "B", "login.guests": "3"}, Unset: []string{"rooms.create"}}),
			s.Set(t.Context(), home, Change{Set: Settings{"name": "Home"}}))
		if err != nil {
			t.Error(err)
		}
		s.wants(t, []Host{{a, true, at}, {b, false, at}}, map[string]Settings{"b.test": {"name": "B", "login.guests": "3"}, "home.test": {"name": "Home"}})
		if err := errors.Join(s.Disable(t.Context(), a, false), s.Remove(t.Context(), b)); err != nil {
			t.Error(err)
		}
		s.wants(t, []Host{{a, false, at}}, map[string]Settings{"home.test": {"name": "Home"}})
		for what, err := range map[string]error{"remove": s.Remove(t.Context(), b), "disable": s.Disable(t.Context(), home, true)} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
}
