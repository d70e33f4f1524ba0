package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub/signalr"
)

// flags are those that every command has.
type flags struct {
	dialect    string
	hubs       []string
	protocol   string
	transports []string
	headers    []string
	token      string
	tokenCmd   string
	insecure   bool
	json       bool
	timeout    time.Duration
	skip       bool
	stateful   bool
}

func (f *flags) add(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&f.dialect, "dialect", dialectAuto, "`dialect` of the server: core, classic (ASP.NET SignalR 2.x), or auto to ask it")
	set.StringArrayVar(&f.hubs, "hub", nil, "`name` of a hub of a classic server, which may have several at one address; may be repeated")
	set.StringVar(&f.protocol, "protocol", "json", "hub `protocol`: json or messagepack")
	set.StringSliceVar(&f.transports, "transport", nil, "`transports` that may be used: websockets, sse, longpolling; default all")
	set.StringArrayVarP(&f.headers, "header", "H", nil, "`\"Name: value\"` to send with every request; may be repeated")
	set.StringVar(&f.token, "token", "", "access `token`")
	set.StringVar(&f.tokenCmd, "token-cmd", "", "shell `command` that prints the access token; it runs anew for every connection")
	set.BoolVar(&f.insecure, "insecure", false, "accept any TLS certificate")
	set.BoolVar(&f.json, "json", false, "print one JSON object a line")
	set.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long connecting and one answer may take")
	set.BoolVar(&f.skip, "skip-negotiation", false, "open a WebSocket at once")
	set.BoolVar(&f.stateful, "stateful", false, "ask for stateful reconnect")
	cmd.MarkFlagsMutuallyExclusive("token", "token-cmd")
	_ = cmd.RegisterFlagCompletionFunc("dialect", cobra.FixedCompletions([]string{dialectAuto, dialectCore, dialectClassic}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions([]string{"json", "messagepack"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("transport", cobra.FixedCompletions([]string{"websockets", "sse", "longpolling"}, cobra.ShellCompDirectiveNoFileComp))
}

// transportNames are what people call the transports.
var transportNames = map[string]signalr.Transport{
	"websockets": signalr.WebSockets, "websocket": signalr.WebSockets, "ws": signalr.WebSockets,
	"sse": signalr.ServerSentEvents, "serversentevents": signalr.ServerSentEvents,
	"longpolling": signalr.LongPolling, "lp": signalr.LongPolling,
}

// options returns those of a client, without what belongs to a session.
func (f *flags) options() (*signalr.ClientOptions, error) {
	o := &signalr.ClientOptions{SkipNegotiation: f.skip, StatefulReconnect: f.stateful, Header: http.Header{}}
	switch strings.ToLower(f.protocol) {
	case "json":
		o.Protocol = "json"
	case "messagepack", "msgpack":
		o.Protocol = "messagepack"
	default:
		return nil, fmt.Errorf("--protocol is %q, want json or messagepack", f.protocol)
	}
	for _, name := range f.transports {
		t, ok := transportNames[strings.ToLower(name)]
		if !ok {
			return nil, fmt.Errorf("--transport is %q, want websockets, sse or longpolling", name)
		}
		o.Transports |= t
	}
	if f.skip {
		if o.Transports &^= signalr.WebSockets; o.Transports != 0 {
			return nil, fmt.Errorf("--skip-negotiation with --transport %s, want websockets", strings.Join(f.transports, ","))
		}
		o.Transports = signalr.WebSockets
	}
	for _, line := range f.headers {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("--header is %q, want \"Name: value\"", line)
		}
		o.Header.Add(name, strings.TrimSpace(value))
	}
	if f.timeout <= 0 {
		return nil, fmt.Errorf("--timeout is %v, want more than 0s", f.timeout)
	}
	return o, nil
}
