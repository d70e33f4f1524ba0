package catalog_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/economy/catalog"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

const patience = 30 * time.Second

// shop is a catalog behind an HTTP server.
type shop struct {
	*catalog.Service
	t      testing.TB
	bus    *bus.Bus
	url    string
	issuer *auth.Issuer
}

func open(t *testing.T, database string) *shop {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: contracts.BusName, SyncInterval: time.Minute, Logger: log}, contracts.Queues()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	issuer := &auth.Issuer{Keys: hubbub.RandomKeyRing(), Audience: catalog.Audience}
	c := storetest.Config(t, database, "catalog")
	c.Logger = log
	s, err := catalog.Open(t.Context(), catalog.Config{Database: c, Bus: b, Verify: issuer.Verify, PathBase: "/catalog-svc", Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.Mount(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		server.Close()
		s.Close()
	})
	return &shop{s, t, b, server.URL + "/catalog-svc", issuer}
}

func (s *shop) token(role, scope string) string {
	s.t.Helper()
	token, err := s.issuer.Sign(map[string]any{"sub": uuid.NewString(), "role": role, "scope": scope}, time.Hour)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *shop) ask(method, path, token, body string) (int, http.Header, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	p, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, a.Header, string(p)
}

func TestItems(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		s := open(t, database)
		told := make(chan bus.Message, 100)
		if _, err := s.bus.Consume(contracts.TradingQueue, nil, func(_ context.Context, batch []*bus.Delivery) {
			for _, d := range batch {
				told <- d.Message
				d.Ack()
			}
		}); err != nil {
			t.Fatal(err)
		}
		next := func(topic string, v any) {
			t.Helper()
			select {
			case m := <-told:
				if m.Topic != topic {
					t.Fatalf("told %s, want %s", m.Topic, topic)
				}
				if err := json.Unmarshal(m.Body, v); err != nil {
					t.Fatal(err)
				}
			case <-time.After(patience):
				t.Fatalf("nothing was told, want %s", topic)
			}
		}
		admin := s.token("Admin", "openid catalog.fullaccess")
		if status, _, body := s.ask("GET", "/items", admin, ""); status != 200 || body != "[]" {
			t.Errorf("no items: %d %s", status, body)
		}
		status, header, body := s.ask("POST", "/items", admin, `{"name":"Potion","description":"Restores HP","price":5.25}`)
		var item map[string]any
		if err := json.Unmarshal([]byte(body), &item); err != nil || status != 201 {
			t.Fatalf("create: %d %s, %v", status, body, err)
		}
		id := item["id"].(string)
		if header.Get("Location") != "/catalog-svc/items/"+id || item["price"] != 5.25 || item["name"] != "Potion" || item["createdDate"] == nil || len(item) != 5 {
			t.Errorf("created %s at %s", body, header.Get("Location"))
		}
		var created contracts.CatalogItemCreated
		next("CatalogItemCreated", &created)
		if created.ItemID.String() != id || created.Price != 5250000 || created.Version != 1 || created.Stock != nil {
			t.Errorf("told %+v", created)
		}
		if status, _, got := s.ask("GET", "/items/"+strings.ToUpper(id), admin, ""); status != 200 || got != body {
			t.Errorf("get: %d %s, want %s", status, got, body)
		}
		if status, _, got := s.ask("PUT", "/items/"+id, admin, `{"name":"Hi-Potion","price":"9","stock":"3"}`); status != 204 || got != "" {
			t.Errorf("update: %d %s", status, got)
		}
		var updated contracts.CatalogItemUpdated
		next("CatalogItemUpdated", &updated)
		if updated.Name != "Hi-Potion" || updated.Version != 2 || updated.Stock == nil || *updated.Stock != 3 {
			t.Errorf("told %+v", updated)
		}
		if status, _, got := s.ask("GET", "/items", admin, ""); status != 200 || !strings.Contains(got, `"name":"Hi-Potion","description":"","price":9,`) || !strings.Contains(got, `"stock":3`) {
			t.Errorf("list: %d %s", status, got)
		}
		if status, _, got := s.ask("DELETE", "/items/"+id, admin, ""); status != 204 || got != "" {
			t.Errorf("delete: %d %s", status, got)
		}
		var deleted contracts.CatalogItemDeleted
		next("CatalogItemDeleted", &deleted)
		if deleted.ItemID.String() != id || deleted.Version != 3 {
			t.Errorf("told %+v", deleted)
		}
		for _, r := range [][2]string{{"GET", ""}, {"PUT", `{"name":"x"}`}, {"DELETE", ""}} {
			for _, at := range []string{id, "nonsense"} {
				if status, _, got := s.ask(r[0], "/items/"+at, admin, r[1]); status != 404 || !strings.Contains(got, `"title"`) {
					t.Errorf("%s of nothing: %d %s", r[0], status, got)
				}
			}
		}
		want := catalog.Stats{Created: 1, Deleted: 1, Updated: map[uuid.UUID]uint64{uuid.MustParse(id): 1}}
		if got := s.Stats(); !reflect.DeepEqual(got, want) {
			t.Errorf("counts %+v, want %+v", got, want)
		}
	})
}

func TestValidation(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	admin := s.token("Admin", "catalog.writeaccess")
	for name, test := range map[string]struct{ body, member string }{
		"no name":        {`{"price":1}`, "name"},
		"empty name":     {`{"name":"","price":1}`, "name"},
		"negative price": {`{"name":"x","price":-1}`, "price"},
		"high price":     {`{"name":"x","price":1000.01}`, "price"},
		"fine price":     {`{"name":"x","price":0.0000001}`, "price"},
		"word as price":  {`{"name":"x","price":"1e"}`, "price"},
		"negative stock": {`{"name":"x","price":1,"stock":-1}`, "stock"},
		"long name":      {`{"name":"` + strings.Repeat("x", 300) + `"}`, "name"},
		"array":          {`[]`, "$"},
		"null":           {`null`, "$"},
	} {
		for _, r := range [][2]string{{"POST", "/items"}, {"PUT", "/items/" + uuid.NewString()}} {
			status, header, body := s.ask(r[0], r[1], admin, test.body)
			var p struct {
				Title  string
				Errors map[string][]string
			}
			if err := json.Unmarshal([]byte(body), &p); err != nil || status != 400 || p.Title == "" || len(p.Errors[test.member]) == 0 ||
				!strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") {
				t.Errorf("%s %s: %d %s, want an error of %s", r[0], name, status, body, test.member)
			}
		}
	}
	if status, _, body := s.ask("POST", "/items", admin, `{"name":"`+strings.Repeat("x", 70_000)+`"}`); status != 413 {
		t.Errorf("large body: %d %s", status, body)
	}
	for _, price := range []string{"0", "1000", "0.5"} {
		if status, _, body := s.ask("POST", "/items", admin, `{"Name":"x","PRICE":`+price+`}`); status != 201 {
			t.Errorf("price %s: %d %s", price, status, body)
		}
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite")
	const item = `{"name":"x","price":1}`
	for name, test := range map[string]struct {
		token       string
		read, write int
	}{
		"nobody":   {"", 401, 401},
		"nonsense": {"x", 401, 401},
		"player":   {s.token("Player", "catalog.fullaccess"), 403, 403},
		"no scope": {s.token("Admin", "inventory.fullaccess"), 403, 403},
		"reader":   {s.token("Admin", "catalog.readaccess"), 200, 403},
		"writer":   {s.token("Admin", "catalog.writeaccess"), 403, 201},
		"both":     {s.token("Admin", "catalog.readaccess catalog.writeaccess"), 200, 201},
		"all":      {s.token("Admin", "catalog.fullaccess"), 200, 201},
	} {
		if status, _, body := s.ask("GET", "/items", test.token, ""); status != test.read {
			t.Errorf("%s reads: %d %s, want %d", name, status, body, test.read)
		}
		if status, _, body := s.ask("POST", "/items", test.token, item); status != test.write {
			t.Errorf("%s writes: %d %s, want %d", name, status, body, test.write)
		}
	}
	for _, path := range []string{"/health/live", "/health/ready"} {
		if status, _, body := s.ask("GET", path, "", ""); status != 200 || body != "Healthy" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, body := s.ask("GET", "/nothing", "", ""); status != 404 || !strings.Contains(body, `"title"`) {
		t.Errorf("nothing: %d %s", status, body)
	}
}
