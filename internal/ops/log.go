package ops

import (
	"fmt"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/clickagg/clickagg/config"
)

// Logger makes the process's log on standard error.
func Logger(cfg config.Log) (*zap.Logger, error) {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	z := zap.NewProductionConfig()
	z.Level = zap.NewAtomicLevelAt(level)
	z.Encoding = cfg.Format
	z.DisableStacktrace = true
	z.DisableCaller = true
	z.Sampling = nil
	z.EncoderConfig.TimeKey = "time"
	z.EncoderConfig.EncodeTime = zapcore.RFC3339TimeEncoder
	if cfg.Format == "console" {
		z.EncoderConfig.EncodeLevel = zapcore.CapitalLevelEncoder
		z.EncoderConfig.EncodeDuration = zapcore.StringDurationEncoder
	}
	logger, err := z.Build()
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return logger, nil
}
