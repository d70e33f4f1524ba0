package catalog_test

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/catalog"
)

// A catalog takes tokens of any type, decides who may watch what, and publishes from Go.
func ExampleSystem() {
	keys := hubbub.RandomKeyRing()
	tokens := &auth.Issuer{Keys: keys}
	s, err := catalog.New(catalog.Config{
		TokenTypes: []catalog.TokenType{{Scheme: "Bearer", Verify: tokens.Verify}},
		PartRight: func(_ context.Context, u *hubbub.User, partKey string) (bool, error) {
			return partKey != "1882708" || catalog.HasRight(u, "catalog:secret"), nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	s.Mount(mux)
	server := &http.Server{Handler: s.FoldCase(mux)} // ready for ListenAndServe

	name := "drawing.pdf"
	err = s.PublishResource(context.Background(), catalog.ResourceUpdate{
		EventType: catalog.Renamed, PartKey: "1882708", ResourceKey: "r-17", ResourceName: &name,
	})
	fmt.Println(server.Handler != nil, err, s.Stats())
	// Output: true <nil> {1 1 0}
}
