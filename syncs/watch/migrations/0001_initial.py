import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('repos', '0005_forges'),
        ('syncs', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='WatchJob',
            fields=[
                ('job', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='watch', serialize=False, to='syncs.job')),
                ('connection', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='watch', to='repos.connection')),
            ],
        ),
    ]
