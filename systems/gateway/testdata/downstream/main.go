// Command downstream is what stands behind the gateway in its tests: a hub in the dialect that it is told, and a small service over HTTP.
// It ends with its standard input.
//
// usage: downstream ADDRESS core|classic
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/classic"
	"github.com/hubbub-go/hubbub/signalr"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: downstream ADDRESS core|classic")
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	chat := newChat()
	mux := http.NewServeMux()
	switch os.Args[2] {
	case "core":
		signalr.MapHub(mux, "/ChatHub", chat, nil)
	case "classic":
		classic.MapHubs(mux, "/signalr", nil, chat)
	default:
		log.Fatalf("dialect %q, want core or classic", os.Args[2])
	}
	mux.HandleFunc("GET /counters", func(w http.ResponseWriter, _ *http.Request) {
		s := chat.Stats()
		answer(w, map[string]int64{"connections": int64(s.Connections), "sent": s.Sent, "invocations": s.Invocations})
	})
	addService(mux)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // any end is an end
		os.Exit(0)
	}()
	fmt.Println("listening on", listener.Addr())
	log.Fatal(http.Serve(listener, mux))
}

// request is the argument of SendMessage.
type request struct {
	Name, Message string
}

func newChat() *hubbub.Hub {
	chat := hubbub.NewHub("ChatHub", &hubbub.Options{Logger: slog.New(slog.DiscardHandler)})
	chat.Handle("SendMessage", hubbub.Action1(func(ctx context.Context, r request) error {
		return chat.All().Send(ctx, "ReceiveMessage", r.Name, r.Message)
	}))
	chat.Handle("Say", hubbub.Raw(func(ctx context.Context, args hubbub.Args) (any, error) { // target, arguments
		all, err := values(args)
		if err != nil || len(all) == 0 {
			return nil, hubbub.Errorf("Say has no target: %v", err)
		}
		var target string
		if err := json.Unmarshal(all[0].(json.RawMessage), &target); err != nil {
			return nil, err
		}
		return nil, chat.All().Send(ctx, target, all[1:]...)
	}))
	chat.Handle("Return", hubbub.Raw(func(_ context.Context, args hubbub.Args) (any, error) { return values(args) }))
	chat.Handle("Fail", hubbub.Action0(func(context.Context) error { return hubbub.Errorf("The room is full.") }))
	chat.Handle("Wait", hubbub.Action1(func(ctx context.Context, milliseconds int) error {
		select {
		case <-time.After(time.Duration(milliseconds) * time.Millisecond):
		case <-ctx.Done():
		}
		return nil
	}))
	return chat
}

func values(args hubbub.Args) ([]any, error) {
	all := make([]any, args.Len())
	for i := range all {
		var one json.RawMessage
		if err := args.Decode(i, &one); err != nil {
			return nil, err
		}
		all[i] = one
	}
	return all, nil
}

// addService adds a service that says what it was asked, and how often.
func addService(mux *http.ServeMux) {
	var asked atomic.Int64
	mux.HandleFunc("/items/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, map[string]any{
			"method": r.Method, "path": r.URL.Path, "query": r.URL.RawQuery, "type": r.Header.Get("Content-Type"), "body": string(body),
			"server": r.Host, "asked": asked.Add(1),
		})
	})
	mux.HandleFunc("/status/{status}", func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(r.PathValue("status"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "the service says %d", status)
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		log.Print(err)
	}
}
