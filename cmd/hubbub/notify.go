package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/notify"
	"github.com/hubbub-go/hubbub/systems/store"
)

// NotifyConfig is for the notification system.
type NotifyConfig struct {
	Enabled         bool              `yaml:"enabled" doc:"Serve the notification system."`
	Users           []NotifyUser      `yaml:"users" doc:"Users who may log in, beside the demo user. hubbub hash makes a passwordHash."`
	Devices         []NotifyDevice    `yaml:"devices" doc:"Devices that may log in. Empty: any."`
	MaxDevices      int               `yaml:"maxDevices" doc:"Devices that may be logged in at a time, beside what the licence allows. 0: any number."`
	Resources       []string          `yaml:"resources" doc:"Names of resources that may be used. Empty: any."`
	FoldResources   bool              `yaml:"foldResources" doc:"Match names of resources without regard to case."`
	Rights          map[string]string `yaml:"rights" doc:"The right that reading a resource needs, by resource. Empty: none is needed."`
	TokenLifetime   time.Duration     `yaml:"tokenLifetime" doc:"How long an access token of a login is good."`
	SessionLifetime time.Duration     `yaml:"sessionLifetime" doc:"How long a session lives after its login or last refresh."`
	DedupeWindow    time.Duration     `yaml:"dedupeWindow" doc:"How long the reference of a notification is remembered, so that it is delivered once. 0s: not at all."`

	RetentionWindow time.Duration `yaml:"retentionWindow" doc:"How long notifications are kept for users at devices that are away. 0s: not at all."`
	RetentionMost   int           `yaml:"retentionMost" doc:"How many notifications are kept in all."`

	Webhook struct {
		Tries      int           `yaml:"tries" doc:"Calls of a webhook before a delivery is parked."`
		FirstDelay time.Duration `yaml:"firstDelay" doc:"Time before the second call; each further one doubles it."`
		MaxDelay   time.Duration `yaml:"maxDelay" doc:"Longest time between two calls."`
		Timeout    time.Duration `yaml:"timeout" doc:"Time for one call."`
		Workers    int           `yaml:"workers" doc:"Webhooks that are called at a time."`
	} `yaml:"webhook"`
}

// NotifyUser is a user of the notification system.
type NotifyUser struct {
	UserName     string   `yaml:"userName"`
	Name         string   `yaml:"name"`
	PasswordHash string   `yaml:"passwordHash" secret:"true"`
	Rights       []string `yaml:"rights"`
	FeatureName  string   `yaml:"featureName"`
}

// NotifyDevice is a device of the notification system.
type NotifyDevice struct {
	Name        string `yaml:"name"`
	EnvName     string `yaml:"envName"`
	Description string `yaml:"description"`
}

func defaultNotify() NotifyConfig {
	c := NotifyConfig{Enabled: true, TokenLifetime: time.Hour, SessionLifetime: 24 * time.Hour,
		DedupeWindow: 10 * time.Minute, RetentionMost: 1000}
	c.Webhook.Tries, c.Webhook.Workers = 8, 4
	c.Webhook.FirstDelay, c.Webhook.MaxDelay, c.Webhook.Timeout = 5*time.Second, 10*time.Minute, 10*time.Second
	return c
}

func (l *loaded) checkNotify() {
	c := &l.Notify
	for i, u := range c.Users {
		if u.UserName == "" {
			l.set.Fault("notify.users", "user %d has no userName", i+1)
		}
		if _, err := bcrypt.Cost([]byte(u.PasswordHash)); err != nil {
			l.set.Fault("notify.users", "passwordHash of user %q, want a bcrypt hash: hubbub hash makes one", u.UserName)
		}
	}
	for i, d := range c.Devices {
		if d.Name == "" {
			l.set.Fault("notify.devices", "device %d has no name", i+1)
		}
	}
	l.atLeast("notify.maxDevices", c.MaxDevices, 0)
	l.atLeast("notify.retentionMost", c.RetentionMost, 1)
	l.atLeast("notify.webhook.tries", c.Webhook.Tries, 1)
	l.atLeast("notify.webhook.workers", c.Webhook.Workers, 1)
	l.moreThanNothing("notify.tokenLifetime", c.TokenLifetime)
	l.moreThanNothing("notify.sessionLifetime", c.SessionLifetime)
	l.moreThanNothing("notify.webhook.firstDelay", c.Webhook.FirstDelay)
	l.moreThanNothing("notify.webhook.maxDelay", c.Webhook.MaxDelay)
	l.moreThanNothing("notify.webhook.timeout", c.Webhook.Timeout)
	if c.DedupeWindow < 0 {
		l.set.Fault("notify.dedupeWindow", "is %v, want 0s or more", c.DedupeWindow)
	}
	if c.RetentionWindow < 0 {
		l.set.Fault("notify.retentionWindow", "is %v, want 0s or more", c.RetentionWindow)
	}
}

// hasUser reports whether a user of that name is configured.
func (c *NotifyConfig) hasUser(name string) bool {
	return slices.ContainsFunc(c.Users, func(u NotifyUser) bool { return strings.EqualFold(u.UserName, name) })
}

// mountNotify opens the notification system. The demo user may do everything there.
func mountNotify(ctx context.Context, at *site) (*system, error) {
	c := &at.config.Notify
	if !c.Enabled {
		return nil, nil
	}
	config := notify.Config{
		Database:        store.Config{URL: at.config.Database, Dir: at.config.Data, Logger: at.log},
		Keys:            at.keys,
		Tokens:          issuer(at.keys),
		MaxDevices:      c.MaxDevices,
		Resources:       c.Resources,
		FoldResources:   c.FoldResources,
		Rights:          c.Rights,
		TokenLifetime:   c.TokenLifetime,
		SessionLifetime: c.SessionLifetime,
		DedupeWindow:    c.DedupeWindow,
		Retention:       notify.Retention{Window: c.RetentionWindow, Most: c.RetentionMost},
		Webhooks: notify.Webhooks{Tries: c.Webhook.Tries, FirstDelay: c.Webhook.FirstDelay, MaxDelay: c.Webhook.MaxDelay,
			Timeout: c.Webhook.Timeout, Workers: c.Webhook.Workers},
		Hub:         at.hubOptions(at.log),
		Foreign:     at.foreign,
		Development: at.development,
		Logger:      at.log,
	}
	if config.DedupeWindow == 0 {
		config.DedupeWindow = -1
	}
	for _, u := range c.Users {
		config.Users = append(config.Users, notify.Account{UserName: u.UserName, Name: u.Name, PasswordHash: u.PasswordHash,
			Rights: u.Rights, FeatureName: u.FeatureName})
	}
	for _, d := range c.Devices {
		config.Devices = append(config.Devices, notify.Device{Name: d.Name, EnvName: d.EnvName, Description: d.Description})
	}
	if at.demo != nil {
		hash, err := notify.HashPassword(at.demo.Password)
		if err != nil {
			return nil, fmt.Errorf("demo user: %w", err)
		}
		config.Users = append(config.Users, notify.Account{UserName: at.demo.Name, PasswordHash: hash,
			Rights: []string{notify.RightAdmin, notify.ScopePublish}})
	}
	s, err := notify.Open(ctx, config)
	if err != nil {
		return nil, err
	}
	s.Mount(at.mux, at.endpointOptions())
	at.verify = s.Verify // it knows which sessions have ended
	return &system{name: "notify", title: "Notifications", paths: s.Paths(), hubs: []*hubbub.Hub{s.Hub()},
		ready: s.Ready, close: s.Close}, nil
}
