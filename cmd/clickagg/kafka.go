package main

import (
	"fmt"

	"github.com/clickagg/clickagg/config"
	"github.com/clickagg/clickagg/internal/secure"
	"github.com/clickagg/clickagg/internal/stream/kafka"
)

// kafkaConfig is what the configuration says of the brokers.
func kafkaConfig(cfg config.Config) (kafka.Config, error) {
	k := cfg.Kafka
	c := kafka.Config{Brokers: k.Brokers, ClientID: "clickagg", SessionTimeout: k.SessionTimeout}
	if k.TLS.Enabled {
		c.TLS = &secure.Files{CA: k.TLS.CAFile, Cert: k.TLS.CertFile, Key: k.TLS.KeyFile, ServerName: k.TLS.ServerName}
	}
	switch k.SASL.Mechanism {
	case "none", "":
	case "plain", "scram-sha-256", "scram-sha-512":
		c.SASL = kafka.SASL{Mechanism: k.SASL.Mechanism, User: k.SASL.User, Password: k.SASL.Password.Reveal()}
	default:
		return c, fmt.Errorf("kafka.sasl.mechanism: there is no %q", k.SASL.Mechanism)
	}
	return c, nil
}
