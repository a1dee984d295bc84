"""Trains what `stepdpo train --engine torch` exports, by TRL's DPOTrainer."""
