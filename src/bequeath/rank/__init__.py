"""Which pre-trained model to fine-tune: candidates' frozen features, measured on the user's own labels."""
