package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// gatewayStop is how long the gateway's connections may take to end when the server closes.
const gatewayStop = 5 * time.Second

// mountGateway makes the gateway. It connects to the hubs when the server listens, since some may be the server's own.
func mountGateway(_ context.Context, at *site) (*system, error) {
	c := &at.config.Gateway
	if !c.Enabled {
		return nil, nil
	}
	config := gateway.Config{
		NoGatewayHub:     !c.StartGatewayHub,
		MaxArguments:     c.MaxArguments,
		MaxBodySize:      int64(c.MaxBodySize),
		MaxSubscriptions: c.MaxSubscriptionsPerConnection,
		Auth:             auth.Bearer(at.verify, &auth.Options{Logger: at.log}),
		Guard:            gateway.Guard{Requires: c.Requires},
		Orchestration:    gateway.Guard{Requires: c.OrchestrationRequires},
		OpenAPI:          gateway.OpenAPI{Off: !c.OpenAPI, Title: c.Title},
		GatewayHub:       at.hubOptions(at.log),
		Core:             *at.endpointOptions(),
		Logger:           at.log,
	}
	config.Core.Auth = auth.Bearer(at.verify, &auth.Options{QueryToken: true, Logger: at.log})
	switch c.ConnectRequires {
	case "":
	case "*":
		config.GatewayHub.RequireUser = true
	default:
		config.GatewayHub.Require = []hubbub.Rule{needs(c.ConnectRequires)}
	}
	g := gateway.New(config)
	g.Mount(at.mux)
	s := &system{name: "gateway", title: "API gateway", fold: g.FoldCase, collectors: []prometheus.Collector{g}, degraded: func() map[string]string { return degraded(g) },
		start: g.Start, close: func() error {
			ctx, cancel := context.WithTimeout(context.Background(), gatewayStop)
			defer cancel()
			return g.Close(ctx)
		}}
	s.paths, s.addresses = []string{gateway.RESTPath}, nil
	if c.OpenAPI {
		s.describe = g.AddOpenAPI
	}
	if hub := g.GatewayHub(); hub != nil {
		s.paths, s.hubs, s.addresses = []string{gateway.HubPath, gateway.RESTPath}, append(s.hubs, hub), append(s.addresses, gateway.HubPath)
	}
	demo, err := newGatewayDemo(at)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	if demo != nil {
		s.paths, s.hubs, s.addresses = append(s.paths, demo.path), append(s.hubs, demo.hub), append(s.addresses, demo.path)
	}
	s.reload = func(l *loaded) error {
		demo.add(l.gateway)
		if err := g.Reload(l.gateway); err != nil {
			return fmt.Errorf("%s", plain(err))
		}
		return nil
	}
	return s, s.reload(at.loaded)
}

// degraded names the hubs that are away.
func degraded(g *gateway.Gateway) map[string]string {
	away := make(map[string]string)
	for _, h := range g.Health() {
		if !h.Connected {
			away[h.Key] = "not connected"
		}
	}
	return away
}

// gatewayFiles are those whose change may be a change of routes.
func (l *loaded) gatewayFiles() []string {
	var all []string
	for _, name := range []string{l.file, l.Gateway.Settings} {
		if name != "" && l.Gateway.Enabled {
			all = append(all, name)
		}
	}
	return all
}

// lookup returns an environment variable.
func (l *loaded) lookup(name string) (string, bool) {
	for _, e := range l.environ {
		if n, value, ok := strings.Cut(e, "="); ok && n == name {
			return value, true
		}
	}
	return "", false
}
