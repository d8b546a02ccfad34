"""What every driver needs: keys, replicas assembled, effects carried out, recording, storage in memory."""
