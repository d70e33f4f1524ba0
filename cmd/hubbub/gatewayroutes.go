package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// Delays of [gateway.Hub] before it tries again.
const (
	defaultReconnectDelay    = 500 * time.Millisecond
	defaultMaxReconnectDelay = 10 * time.Second
)

// gatewayBuilder makes the routes that the configuration describes.
type gatewayBuilder struct {
	lookup func(name string) (string, bool) // of environment variables
	fault  func(path, text string)          // hears what is wrong, and where below gateway
	routes *gateway.Routes
	faults int
	unset  int // environment variables that were wanted
}

func (b *gatewayBuilder) wrong(path, format string, args ...any) {
	b.faults++
	b.fault(path, fmt.Sprintf(format, args...))
}

// build adds everything. After a fault the routes are not complete.
func (b *gatewayBuilder) build(c *GatewayConfig) {
	for i := range c.APIs {
		b.addAPI(fmt.Sprintf("apis[%d]", i), &c.APIs[i])
	}
	for i := range c.Hubs {
		b.addHub(fmt.Sprintf("hubs[%d]", i), &c.Hubs[i])
	}
	if c.Settings != "" {
		text, err := os.ReadFile(c.Settings)
		if err == nil {
			err = b.routes.AddSettings(text)
		}
		if err != nil {
			b.wrong("settings", "%s", plain(err))
		}
	}
	if err := b.routes.Err(); err != nil && b.faults == 0 { // each alone is good: what is left is a key that comes twice
		path := "apis"
		if strings.Contains(err.Error(), "AddHub") {
			path = "hubs"
		}
		b.wrong(path, "%s", plain(err))
	}
}

// try notes what is wrong with something that add adds to routes of its own.
func (b *gatewayBuilder) try(path string, add func(r *gateway.Routes)) (good bool) {
	var one gateway.Routes
	add(&one)
	if err := one.Err(); err != nil {
		b.wrong(path, "%s", plain(err))
		return false
	}
	return true
}

// plain leaves out what stands beside the path already.
func plain(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimPrefix(line, "gateway: "), "settings: ")
	}
	return strings.Join(lines, "; ")
}

func (b *gatewayBuilder) addAPI(path string, c *GatewayAPI) {
	unset := b.unset
	a := gateway.API{Timeout: c.Timeout, Cache: c.Cache, Header: b.header(path+".header", c.Header), Guard: gateway.Guard{Requires: c.Requires}}
	for i, u := range c.BaseURLs {
		a.BaseURLs = append(a.BaseURLs, b.expand(fmt.Sprintf("%s.baseUrls[%d]", path, i), u))
	}
	a.Check = gateway.HealthCheck{Path: c.Check.Path, Interval: c.Check.Interval, Timeout: c.Check.Timeout, Failures: c.Check.Failures,
		Successes: c.Check.Successes}
	a.CacheRules = b.cacheRules(path+".cacheRules", &c.Rules)
	a.Balance = choose(b, path+".balance", c.Balance, map[string]gateway.Balance{
		"": gateway.Random, "random": gateway.Random, "roundRobin": gateway.RoundRobin, "leastPending": gateway.LeastPending})
	if b.unset > unset || !b.try(path, func(r *gateway.Routes) { r.AddAPI(c.Key, a) }) {
		return
	}
	added := b.routes.AddAPI(c.Key, a)
	for i, x := range c.Routes {
		at := fmt.Sprintf("%s.routes[%d]", path, i)
		route := gateway.Route{Verb: x.Verb, Path: x.Path, Timeout: x.Timeout, Cache: x.Cache, Guard: gateway.Guard{Requires: x.Requires},
			Summary: x.Summary, Description: x.Description,
			RequestSchema: schema(x.RequestSchema), ResponseSchema: schema(x.ResponseSchema)}
		if x.Rules.given() {
			rules := b.cacheRules(at+".cacheRules", &x.Rules)
			route.CacheRules = &rules
		}
		if b.try(at, func(r *gateway.Routes) { r.AddAPI(c.Key, a).AddRoute(x.Key, route) }) {
			added.AddRoute(x.Key, route)
		}
	}
}

func (b *gatewayBuilder) cacheRules(path string, c *GatewayCacheRules) gateway.CacheRules {
	r := gateway.CacheRules{VaryByHeader: c.VaryByHeader, VaryByQueryKeys: c.VaryByQueryKeys, NoStore: c.NoStore}
	r.Location = choose(b, path+".location", c.Location, map[string]gateway.CacheLocation{
		"": gateway.CacheAnywhere, "any": gateway.CacheAnywhere, "client": gateway.CacheAtClient, "none": gateway.CacheNowhere})
	return r
}

func (b *gatewayBuilder) addHub(path string, c *GatewayHub) {
	unset := b.unset
	h := gateway.Hub{URL: b.expand(path+".url", c.URL), HubName: c.HubName, ConnectTimeout: c.ConnectTimeout, InvokeTimeout: c.InvokeTimeout,
		MaxPending: c.MaxPending, Guard: gateway.Guard{Requires: c.Requires}, Header: b.header(path+".header", c.Header),
		ReceiveKey: b.expand(path+".receiveKey", c.ReceiveKey), InvokeKey: b.expand(path+".invokeKey", c.InvokeKey)}
	h.Dialect = choose(b, path+".dialect", c.Dialect, map[string]gateway.Dialect{
		"": gateway.Auto, "auto": gateway.Auto, "core": gateway.Core, "classic": gateway.Classic})
	if token := b.expand(path+".token", c.Token); token != "" {
		if h.Header == nil {
			h.Header = make(http.Header)
		}
		h.Header.Set("Authorization", "Bearer "+token)
	}
	h.CoreOptions.MaximumReceiveMessageSize = c.MaxMessageSize
	if len(c.Transports) > 0 {
		var err error
		if h.CoreOptions.Transports, err = transports(c.Transports); err != nil {
			b.wrong(path+".transports", "%v", err)
		}
		h.ClassicOptions.Transports, _ = classicTransports(c.Transports)
	}
	b.reconnect(path, c, &h)
	if b.unset > unset || !b.try(path, func(r *gateway.Routes) { r.AddHub(c.Key, h) }) {
		return
	}
	added := b.routes.AddHub(c.Key, h)
	for i := range c.Routes {
		at, key := fmt.Sprintf("%s.routes[%d]", path, i), c.Routes[i].Key
		route := b.hubRoute(at, &c.Routes[i])
		if b.try(at, func(r *gateway.Routes) { r.AddHub(c.Key, h).AddRoute(key, route) }) {
			added.AddRoute(key, route)
		}
	}
}

// reconnect sets when to try again. The policy is a function: a revision says whether it is the one it was.
func (b *gatewayBuilder) reconnect(path string, c *GatewayHub, h *gateway.Hub) {
	first, most := c.ReconnectDelay, c.MaxReconnectDelay
	if first < 0 || most < 0 || (first > 0 && most > 0 && most < first) {
		b.wrong(path+".maxReconnectDelay", "is %v with reconnectDelay %v, want no less than that, and neither below 0s", most, first)
		return
	}
	if first == 0 && most == 0 {
		return
	}
	if first == 0 {
		first = min(most, defaultReconnectDelay)
	}
	if most == 0 {
		most = max(first, defaultMaxReconnectDelay)
	}
	h.Reconnect = hubbub.Jitter(hubbub.RetryForever(first, most), 0.2)
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %v %q %v %v %v %v %v %v", h.URL, h.Dialect, h.HubName, h.Header, h.ConnectTimeout, first, most, c.Transports, c.MaxMessageSize))
	h.Revision = hex.EncodeToString(sum[:])
}

func (b *gatewayBuilder) hubRoute(path string, c *GatewayHubRoute) gateway.HubRoute {
	r := gateway.HubRoute{InvokeMethod: c.InvokeMethod, ReceiveMethod: c.ReceiveMethod, ReceiveGroup: c.ReceiveGroup, Unwrap: c.Unwrap,
		ReceiveParameterTypes: c.ReceiveParameterTypes, Guard: gateway.Guard{Requires: c.Requires}, Summary: c.Summary, Description: c.Description,
		ResultSchema: schema(c.ResultSchema)}
	for _, s := range c.ArgumentSchemas {
		r.ArgumentSchemas = append(r.ArgumentSchemas, schema(s))
	}
	r.BroadcastType = choose(b, path+".broadcastType", c.BroadcastType, map[string]gateway.Broadcast{
		"": gateway.BroadcastAll, "All": gateway.BroadcastAll, "Group": gateway.BroadcastGroup, "Individual": gateway.BroadcastIndividual})
	return r
}

// choose returns the value with that name, in any case.
func choose[T any](b *gatewayBuilder, path, name string, values map[string]T) (chosen T) {
	for n, v := range values {
		if strings.EqualFold(n, name) {
			return v
		}
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(values)), func(n string) bool { return n == "" })
	b.wrong(path, "%q, want one of %s", name, strings.Join(names, ", "))
	return chosen
}

func schema(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

func (b *gatewayBuilder) header(path string, values map[string]string) http.Header {
	h := make(http.Header, len(values))
	for name, value := range values {
		h.Set(name, b.expand(path+"."+name, value))
	}
	return h
}

// variable is a reference to an environment variable.
var variable = regexp.MustCompile(`\$\{([^{}]*)\}`)

// expand puts the values of environment variables in: a secret need not stand in a file.
func (b *gatewayBuilder) expand(path, text string) string {
	return variable.ReplaceAllStringFunc(text, func(reference string) string {
		name := reference[2 : len(reference)-1]
		value, ok := b.lookup(name)
		if !ok {
			b.unset++
			b.wrong(path, "the environment variable %s is not set", name)
		}
		return value
	})
}
